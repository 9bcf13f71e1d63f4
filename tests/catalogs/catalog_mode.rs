//! A catalog's file keeps who may read it when a program changes it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::{arawn_catalog_register, arawn_catalog_remove};
use base64::prelude::{BASE64_STANDARD, Engine};
use common::{Catalog, answering, ok};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

#[test]
fn registering_and_removing_keep_the_mode_and_the_owner_of_the_catalog() {
    let module = BASE64_STANDARD.encode(wat::parse_str(answering("ran")).unwrap());
    for mode in [0o600, 0o640, 0o644, 0o664] {
        let catalog = Catalog::new().with("there", &answering("there"));
        let id = catalog.executor();
        fs::set_permissions(catalog.file(), fs::Permissions::from_mode(mode)).unwrap();
        // Only a superuser may give a file away.
        let _ = chown(catalog.file(), Some(65534), Some(65534));
        let before = fs::metadata(catalog.file()).unwrap();
        let same = |step: &str| {
            let now = fs::metadata(catalog.file()).unwrap();
            let of = |metadata: &fs::Metadata| (metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
            assert_eq!(of(&now), of(&before), "{step}: {:o}", now.mode());
        };
        ok(arawn_catalog_register, &json!({"executor": id, "name": "added", "wasm_base64": module}));
        same("register");
        ok(arawn_catalog_remove, &json!({"executor": id, "name": "added"}));
        same("remove");
    }
    let fresh = Catalog::new();
    let id = fresh.executor();
    ok(arawn_catalog_register, &json!({"executor": id, "name": "added", "wasm_base64": module}));
    let mode = fs::metadata(fresh.file()).unwrap().mode();
    assert_eq!(mode & 0o600, 0o600, "{mode:o}");
}
