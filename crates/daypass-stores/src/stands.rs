//! What a change stands on: whether a client and its keys are still what was read before somebody decided.

use daypass_core::client::{Client, Key};
use daypass_core::store::StoreError;

/// Refuses a client that has changed since it was read; `there` is its document, if there is one.
///
/// It is compared as what it means and not byte for byte: another version of the program may have written it.
pub(crate) fn same_client(there: Option<&[u8]>, old: &Client, new: &Client) -> Result<(), StoreError> {
    let meanwhile = || StoreError::Conflict(format!("the client `{}` has changed meanwhile", old.name));
    let there: Client =
        serde_json::from_slice(there.ok_or_else(meanwhile)?).map_err(|error| damaged(&error))?;
    if there == *old && old.guid == new.guid { Ok(()) } else { Err(meanwhile()) }
}

/// Refuses where a client's keys, by their documents, are not these.
pub(crate) fn same_keys(there: &[Vec<u8>], keys: &[Key]) -> Result<(), StoreError> {
    let there: Vec<Key> = there
        .iter()
        .map(|document| serde_json::from_slice(document))
        .collect::<Result<_, _>>()
        .map_err(|error| damaged(&error))?;
    let found = |key: &Key| there.iter().any(|other| other.is_as(key));
    if there.len() == keys.len() && keys.iter().all(found) {
        return Ok(());
    }
    Err(StoreError::Conflict("the client's keys have changed meanwhile".to_owned()))
}

fn damaged(error: &serde_json::Error) -> StoreError {
    StoreError::Damaged(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use daypass_core::client::Material;
    use daypass_core::testing::World;

    fn document(value: &impl serde::Serialize) -> Vec<u8> {
        serde_json::to_vec(value).unwrap()
    }

    #[test]
    fn a_client_is_what_its_document_means() {
        let client = World::new().client;
        // As an older program may write it: the same members in another order.
        let value: serde_json::Value = serde_json::from_slice(&document(&client)).unwrap();
        let other = document(&value);
        assert_ne!(other, document(&client));
        same_client(Some(&other), &client, &client).unwrap();
        let disabled = Client { enabled: false, ..client.clone() };
        assert!(matches!(same_client(Some(&other), &disabled, &client), Err(StoreError::Conflict(_))));
        assert!(matches!(same_client(None, &client, &client), Err(StoreError::Conflict(_))));
        assert!(matches!(same_client(Some(b"{"), &client, &client), Err(StoreError::Damaged(_))));
        let another = Client { guid: uuid::Uuid::from_u128(4), ..client.clone() };
        assert!(matches!(same_client(Some(&other), &client, &another), Err(StoreError::Conflict(_))));
    }

    #[test]
    fn keys_are_the_same_however_they_are_sealed_and_ordered() {
        let keys = World::new().keys;
        assert!(keys.len() > 1);
        let mut there: Vec<_> = keys.iter().rev().map(document).collect();
        same_keys(&there, &keys).unwrap();
        let anew = Key { material: Material::Sealed(vec![7; 40]), ..keys[0].clone() };
        *there.last_mut().unwrap() = document(&anew);
        same_keys(&there, &keys).unwrap();
        *there.last_mut().unwrap() = document(&Key { enabled: !anew.enabled, ..anew });
        assert!(matches!(same_keys(&there, &keys), Err(StoreError::Conflict(_))));
        there.pop();
        assert!(matches!(same_keys(&there, &keys), Err(StoreError::Conflict(_))));
        assert!(matches!(same_keys(&there, &keys[..keys.len() - 1]), Err(StoreError::Conflict(_))));
        assert!(matches!(same_keys(&[b"{".to_vec()], &keys[..1]), Err(StoreError::Damaged(_))));
    }
}
