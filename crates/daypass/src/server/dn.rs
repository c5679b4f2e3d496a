//! A distinguished name as text (RFC 4514), so that it can be compared with what somebody registered.

use x509_parser::asn1_rs::ToDer as _;
use x509_parser::x509::{AttributeTypeAndValue, RelativeDistinguishedName, X509Name};

/// The types that RFC 4514 (3) gives a short name. All others are written as numbers, whatever other programs call them:
/// a name of their own would be one that two programs may spell in two ways.
const SHORT: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// The name as RFC 4514 (2) has it: the last part first, without blanks around commas, what has a meaning escaped by a
/// backslash. A value that is no text, or of a type without a short name, is `#` and its DER in hexadecimal digits.
pub(super) fn text(name: &X509Name<'_>) -> Option<String> {
    let parts: Vec<_> = name.iter_rdn().map(part).collect::<Option<_>>()?;
    Some(parts.into_iter().rev().collect::<Vec<_>>().join(","))
}

fn part(part: &RelativeDistinguishedName<'_>) -> Option<String> {
    part.iter().map(attribute).collect::<Option<Vec<_>>>().map(|all| all.join("+"))
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    let number = attribute.attr_type().to_id_string();
    let short = SHORT.iter().find(|(known, _)| *known == number).map(|(_, short)| *short);
    match (short, attribute.as_str()) {
        (Some(short), Ok(value)) => Some(format!("{short}={}", escaped(value))),
        (short, _) => {
            let der = attribute.attr_value().to_der_vec().ok()?;
            let digits: Vec<_> = der.iter().map(|byte| format!("{byte:02x}")).collect();
            Some(format!("{}=#{}", short.unwrap_or(&number), digits.concat()))
        }
    }
}

/// Attack: a name whose value holds `,O=Acme` would read as one that has a part more.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (n, c) in value.chars().enumerate() {
        let edge = (n == 0 && (c == ' ' || c == '#')) || (n == last && c == ' ');
        match c {
            '\0' => text.push_str("\\00"),
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', c]),
            _ if edge => text.extend(['\\', c]),
            _ => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};
    use x509_parser::certificate::X509Certificate;
    use x509_parser::prelude::FromDer as _;

    fn written(parts: &[(DnType, DnValue)]) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), value.clone());
        }
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let (_, certificate) = X509Certificate::from_der(made.der()).unwrap();
        text(certificate.subject()).unwrap()
    }

    #[test]
    fn a_name_is_written_from_its_last_part_to_its_first() {
        let name = [
            (DnType::CountryName, "CN".into()),
            (DnType::OrganizationName, "Acme".into()),
            (DnType::OrganizationalUnitName, "Orders".into()),
            (DnType::CommonName, "reports".into()),
        ];
        assert_eq!(written(&name), "CN=reports,OU=Orders,O=Acme,C=CN");
        assert_eq!(written(&[]), "");
        let uid = DnType::from_oid(&[0, 9, 2342, 19_200_300, 100, 1, 1]);
        assert_eq!(written(&[(uid, "u".into())]), "UID=u");
    }

    /// The examples of RFC 4514 (4), and what must not be taken for a part of its own.
    #[test]
    fn what_has_a_meaning_is_escaped() {
        for (value, expected) in [
            ("James \"Jim\" Smith, III", "CN=James \\\"Jim\\\" Smith\\, III"),
            ("reports,O=Acme", "CN=reports\\,O=Acme"),
            ("a+OU=b;c<d>e\\", "CN=a\\+OU=b\\;c\\<d\\>e\\\\"),
            ("#1", "CN=\\#1"),
            ("a#", "CN=a#"),
            (" both ", "CN=\\ both\\ "),
            (" ", "CN=\\ "),
            ("Lu\u{10d}i\u{107}", "CN=Lu\u{10d}i\u{107}"),
            ("nul\0", "CN=nul\\00"),
        ] {
            assert_eq!(written(&[(DnType::CommonName, value.into())]), expected);
        }
    }

    #[test]
    fn what_has_no_short_name_or_is_no_text_is_written_as_its_bytes() {
        let mail = DnType::from_oid(&[1, 2, 840, 113_549, 1, 9, 1]);
        assert_eq!(written(&[(mail, DnValue::Utf8String("a@b".into()))]), "1.2.840.113549.1.9.1=#0c03614062");
        let wide = DnValue::BmpString("ab".try_into().unwrap());
        assert_eq!(written(&[(DnType::CommonName, wide)]), "CN=#1e0400610062");
    }
}
