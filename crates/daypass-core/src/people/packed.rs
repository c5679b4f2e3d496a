//! Clients and keys as few bytes: what is one's own, and what many have in common and a shard keeps once.
//!
//! Only this process reads what it has packed, so that the form may be another in the next version.

use super::HeldKey;
use super::table::Packed;
use crate::client::{Client, Grant, Key, KeyKind, Material, Refuses};
use crate::clock::Timestamp;
use crate::policy::Policy;
use crate::quota::Limit;
use crate::seal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What cannot be packed, of which there is nothing but by a fault of the program.
#[derive(Debug, thiserror::Error)]
#[error("a client or a key cannot be packed: {0}")]
pub struct Unpackable(String);

impl Unpackable {
    fn by(fault: impl std::fmt::Display) -> Self {
        Self(fault.to_string())
    }

    pub(super) fn too_much() -> Self {
        Self("it is larger than four gigabytes".to_owned())
    }
}

/// An instant, to the nanosecond.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct At(i64, i32);

impl From<Timestamp> for At {
    fn from(at: Timestamp) -> Self {
        Self(at.as_second(), at.subsec_nanosecond())
    }
}

impl At {
    fn open(self) -> Option<Timestamp> {
        Timestamp::new(self.0, self.1).ok()
    }
}

fn append(out: &mut Vec<u8>, form: &impl Serialize) -> Result<(), Unpackable> {
    *out = postcard::to_extend(form, std::mem::take(out)).map_err(Unpackable::by)?;
    Ok(())
}

/// Clients.
#[derive(Debug)]
pub(super) enum PackedClient {}

#[derive(Serialize, Deserialize)]
struct ClientOwn<'a> {
    guid: Uuid,
    object: Uuid,
    #[serde(borrow)]
    name: &'a str,
    created: At,
}

#[derive(Serialize, Deserialize)]
struct ClientCommon<'a> {
    #[serde(borrow)]
    tenant: &'a str,
    enabled: bool,
    default_role: Option<&'a str>,
    grants: Vec<GrantForm<'a>>,
    refuses: Refuses,
    /// [`Rare`] as JSON, whose types leave members out and cannot be read without names; empty where there is nothing of it.
    rare: &'a [u8],
}

#[derive(Serialize, Deserialize)]
struct GrantForm<'a> {
    #[serde(borrow)]
    role: &'a str,
    bind: BTreeMap<&'a str, Vec<&'a str>>,
    lifetime: Option<u32>,
}

impl<'a> GrantForm<'a> {
    fn of(grant: &'a Grant) -> Self {
        let Grant { role, bind, lifetime } = grant;
        let bind = bind.iter().map(|(name, values)| (&**name, values.iter().map(|value| &**value).collect()));
        Self { role, bind: bind.collect(), lifetime: *lifetime }
    }

    fn open(self) -> Grant {
        let owned = |values: Vec<&str>| values.into_iter().map(str::to_owned).collect();
        let bind = self.bind.into_iter().map(|(name, values)| (name.to_owned(), owned(values)));
        Grant { role: self.role.to_owned(), bind: bind.collect(), lifetime: self.lifetime }
    }
}

/// What few clients have.
#[derive(Default, PartialEq, Serialize, Deserialize)]
struct Rare {
    audiences: Vec<String>,
    boundary: Option<Policy>,
    boundary_warn: Option<Policy>,
    limit: Limit,
}

impl Packed for PackedClient {
    type Value = Client;
    type Held = Client;

    fn pack(client: &Client, own: &mut Vec<u8>, common: &mut Vec<u8>) -> Result<(), Unpackable> {
        // Taken apart, so that a new member of a client is not forgotten here.
        let Client {
            guid,
            object,
            tenant,
            name,
            enabled,
            default_role,
            grants,
            audiences,
            boundary,
            boundary_warn,
            limit,
            refuses,
            created,
        } = client;
        let rare = Rare {
            audiences: audiences.clone(),
            boundary: boundary.clone(),
            boundary_warn: boundary_warn.clone(),
            limit: *limit,
        };
        let rare = if rare == Rare::default() {
            Vec::new()
        } else {
            serde_json::to_vec(&rare).map_err(Unpackable::by)?
        };
        append(own, &ClientOwn { guid: *guid, object: *object, name, created: (*created).into() })?;
        append(
            common,
            &ClientCommon {
                tenant,
                enabled: *enabled,
                default_role: default_role.as_deref(),
                grants: grants.iter().map(GrantForm::of).collect(),
                refuses: *refuses,
                rare: &rare,
            },
        )
    }

    fn open(own: &[u8], common: &[u8]) -> Option<Client> {
        let ClientOwn { guid, object, name, created } = postcard::from_bytes(own).ok()?;
        let ClientCommon { tenant, enabled, default_role, grants, refuses, rare } =
            postcard::from_bytes(common).ok()?;
        let rare = if rare.is_empty() { Rare::default() } else { serde_json::from_slice(rare).ok()? };
        let Rare { audiences, boundary, boundary_warn, limit } = rare;
        Some(Client {
            guid,
            object,
            tenant: tenant.to_owned(),
            name: name.to_owned(),
            enabled,
            default_role: default_role.map(str::to_owned),
            grants: grants.into_iter().map(GrantForm::open).collect(),
            audiences,
            boundary,
            boundary_warn,
            limit,
            refuses,
            created: created.open()?,
        })
    }

    fn hold(client: Client) -> Client {
        client
    }

    fn id(client: &Client) -> &[u8] {
        client.guid.as_bytes()
    }

    fn id_of(own: &[u8]) -> Option<&[u8]> {
        // A UUID is written as its length and sixteen bytes.
        own.get(1..17)
    }
}

/// Keys.
#[derive(Debug)]
pub(super) enum PackedKey {}

#[derive(Serialize, Deserialize)]
struct KeyOwn<'a> {
    #[serde(borrow)]
    id: &'a str,
    client: Uuid,
    created: At,
    starts: Option<At>,
    expires: Option<At>,
    hint: &'a str,
    material: MaterialForm<'a>,
}

/// What many keys have in common, and what one looks for among all of them by.
#[derive(Serialize, Deserialize)]
pub(super) struct KeyCommon {
    kind: KeyKind,
    pub(super) enabled: bool,
    /// Whether it ends at some time.
    pub(super) ends: bool,
    /// What it is kept under.
    pub(super) under: Under,
}

/// The key of the ring that a client's key is kept under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Under {
    /// The `rest` key of this version; none where the sealed bytes do not say.
    Rest(Option<u32>),
    /// The pepper of this version.
    Pepper(u32),
    /// None: it is no secret.
    Nothing,
}

impl From<&Material> for Under {
    fn from(material: &Material) -> Self {
        match material {
            Material::Sealed(sealed) => Self::Rest(seal::version_of(sealed)),
            Material::Hashed { pepper, .. } => Self::Pepper(*pepper),
            Material::Public(_) | Material::Certificate(_) | Material::Federated { .. } => Self::Nothing,
        }
    }
}

impl KeyCommon {
    pub(super) fn read(common: &[u8]) -> Option<Self> {
        postcard::from_bytes(common).ok()
    }
}

#[derive(Serialize, Deserialize)]
enum MaterialForm<'a> {
    Hashed(u32, &'a [u8]),
    Sealed(&'a [u8]),
    /// Any other as JSON, which alone holds every form of a public key.
    Json(&'a [u8]),
}

impl MaterialForm<'_> {
    fn open(self) -> Option<Material> {
        Some(match self {
            Self::Hashed(pepper, hash) => Material::Hashed { pepper, hash: hash.to_vec() },
            Self::Sealed(sealed) => Material::Sealed(sealed.to_vec()),
            Self::Json(json) => serde_json::from_slice(json).ok()?,
        })
    }
}

impl Packed for PackedKey {
    type Value = Key;
    type Held = HeldKey;

    fn pack(key: &Key, own: &mut Vec<u8>, common: &mut Vec<u8>) -> Result<(), Unpackable> {
        let Key { id, client, kind, enabled, created, starts, expires, hint, material } = key;
        let under = Under::from(material);
        let json;
        let material = match material {
            Material::Hashed { pepper, hash } => MaterialForm::Hashed(*pepper, hash),
            Material::Sealed(sealed) => MaterialForm::Sealed(sealed),
            Material::Public(_) | Material::Certificate(_) | Material::Federated { .. } => {
                json = serde_json::to_vec(material).map_err(Unpackable::by)?;
                MaterialForm::Json(&json)
            }
        };
        let (starts, expires) = (starts.map(At::from), expires.map(At::from));
        append(
            own,
            &KeyOwn { id, client: *client, created: (*created).into(), starts, expires, hint, material },
        )?;
        append(common, &KeyCommon { kind: *kind, enabled: *enabled, ends: expires.is_some(), under })
    }

    fn open(own: &[u8], common: &[u8]) -> Option<Key> {
        let KeyOwn { id, client, created, starts, expires, hint, material } =
            postcard::from_bytes(own).ok()?;
        let KeyCommon { kind, enabled, ends: _, under: _ } = KeyCommon::read(common)?;
        // A key whose end is not understood is no key, and not one without an end.
        let starts = starts.map_or(Some(None), |at| at.open().map(Some))?;
        let expires = expires.map_or(Some(None), |at| at.open().map(Some))?;
        Some(Key {
            id: id.to_owned(),
            client,
            kind,
            enabled,
            created: created.open()?,
            starts,
            expires,
            hint: hint.to_owned(),
            material: material.open()?,
        })
    }

    fn hold(key: Key) -> HeldKey {
        HeldKey::new(key)
    }

    fn id(key: &Key) -> &[u8] {
        key.id.as_bytes()
    }

    fn id_of(own: &[u8]) -> Option<&[u8]> {
        // A text is written as its length and its bytes.
        postcard::take_from_bytes::<&[u8]>(own).ok().map(|(id, _)| id)
    }
}
