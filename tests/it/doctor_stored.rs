//! Faults planted in what a stopped server has left, one after the other, for `claviger doctor` to find.

use crate::doctor_health::{Clinic, Told};
use crate::harness::{Program, database, on_postgres, sqlite_only};

/// A stopped installation with what `sql` did to it.
async fn after(sql: &str) -> Clinic {
    let mut clinic = Clinic::open().await;
    clinic.stop();
    database(clinic.folder.path()).execute_batch(sql).unwrap();
    clinic
}

/// 200 days in microseconds, an hour.
const LONG_AGO: &str = "17280000000000";
const AN_HOUR: &str = "3600000000";

#[tokio::test]
async fn a_rotation_that_no_server_made() {
    let clinic = after(&format!(
        "UPDATE signing_keys SET created_at = created_at - {LONG_AGO}, activated_at = activated_at - {LONG_AGO}"
    ))
    .await;
    let told = clinic.look(&[]);
    assert!(told.mended_by("keys-schedule", "warning").starts_with("claviger serve --data-dir "));
    assert_eq!(told.code, if on_postgres() { 3 } else { 0 }, "the tests' PostgreSQL has errors of its own");
}

#[tokio::test]
async fn a_next_key_that_is_missing() {
    let clinic = after(&format!(
        "DELETE FROM signing_keys WHERE state = 'next'; UPDATE signing_keys SET created_at = created_at - {AN_HOUR}"
    ))
    .await;
    let found = clinic.look(&[]).only("keys-schedule", "warning");
    assert_eq!(found["what"], "no next key of the configured kind is published");
}

#[tokio::test]
async fn no_key_that_signs() {
    let clinic = after("UPDATE signing_keys SET state = 'retired' WHERE state = 'active'").await;
    assert!(clinic.look(&[]).mended_by("keys-active", "error").starts_with("claviger key list"));
    let clinic = after("DELETE FROM signing_keys").await;
    assert!(clinic.look(&[]).mended_by("keys-active", "error").starts_with("claviger serve"));
}

#[tokio::test]
async fn keys_that_are_short_or_verify_for_long() {
    let clinic = Clinic::open().await;
    let modulus = |bits: usize| claviger_crypto::base64url(&vec![0xff; bits / 8]);
    let jwk = |kid: &str, bits| {
        format!(
            r#"{{"alg":"RS256","e":"AQAB","kid":"{kid}","kty":"RSA","n":"{}","use":"sig"}}"#,
            modulus(bits)
        )
    };
    let mut clinic = clinic;
    clinic.stop();
    let now = claviger::base::time::Clock::System.now().as_micros();
    let insert = |kid: &str, bits, until: i64| {
        let jwk = jwk(kid, bits);
        let sql = format!("INSERT INTO earlier_keys VALUES ('{kid}', '{jwk}', {now}, {until})");
        database(clinic.folder.path()).execute_batch(&sql).unwrap();
    };
    insert("old", 2048, now + 200 * 86_400_000_000);
    assert!(
        clinic
            .look(&[])
            .mended_by("keys-earlier", "warning")
            .starts_with("claviger key revoke old --data-dir ")
    );
    database(clinic.folder.path()).execute_batch("DELETE FROM earlier_keys").unwrap();
    insert("short", 1024, now + 86_400_000_000);
    assert!(
        clinic
            .look(&[])
            .mended_by("keys-strength", "error")
            .starts_with("claviger key revoke short --data-dir ")
    );
}

#[tokio::test]
async fn schemas_that_are_not_this_programs() {
    for (sql, said, mend) in [
        (
            "DELETE FROM schema_history WHERE version > 9",
            "older than this program's",
            Some("claviger serve "),
        ),
        (
            "INSERT INTO schema_history SELECT 99, 'x', digest, applied_at FROM schema_history WHERE version = 1",
            "a newer version has used it",
            None,
        ),
        ("UPDATE schema_history SET digest = x'00' WHERE version = 2", "is not the one", None),
        ("DELETE FROM schema_history", "no schema of ours", Some("claviger serve ")),
        (
            "INSERT INTO database_copy (source, identity, table_name, copied) VALUES ('sqlite:/x', x'00', 'accounts', 0)",
            "an unfinished copy of sqlite:/x",
            Some("claviger database copy --from sqlite:/x --to "),
        ),
    ] {
        let clinic = after(sql).await;
        let told = clinic.look(&[]);
        let found = told.only("schema", "error");
        assert!(found["what"].as_str().unwrap().contains(said), "{found:#}");
        if let Some(mend) = mend {
            let command = found["mend"]["command"].as_str().unwrap();
            assert!(command.starts_with(mend) && !command.contains(":***@"), "{command}");
        }
        // What could not be looked at for that is said, and is no fault.
        let checks = told.report["checks"].as_array().unwrap();
        assert!(checks.iter().any(|check| check["outcome"] == "unknown"), "{:#}", told.report);
    }
}

#[tokio::test]
async fn a_trail_that_was_changed() {
    let clinic = after("UPDATE audit_events SET event = 'login' WHERE place = 1").await;
    assert_eq!(clinic.look(&[]).faults(), [""; 0], "only --deep reads it");
    assert!(clinic.look(&["--deep"]).mended_by("audit-trail", "error").starts_with("claviger audit verify "));
}

#[tokio::test]
async fn a_damaged_file() {
    if sqlite_only() {
        return;
    }
    let clinic = after("").await;
    let path = clinic.folder.path().join("claviger.db");
    let page: i64 = database(clinic.folder.path())
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'earlier_ends'", [], |row| row.get(0))
        .unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let at = usize::try_from(page - 1).unwrap() * 4096;
    bytes[at..at + 4096].fill(0xaa);
    std::fs::write(&path, bytes).unwrap();
    let told = clinic.look(&["--deep"]);
    let found = told.of("database-intact");
    assert!(!found.is_empty() && told.code == 3, "{:#}", told.report);
    assert!(found[0]["what"].as_str().unwrap().starts_with("SQLite finds: "), "{found:?}");
}

#[tokio::test]
async fn a_database_server_that_is_away_or_forgetful() {
    if !on_postgres() {
        return;
    }
    let clinic = Clinic::open().await;
    let (_, url) = Program::database(clinic.folder.path()).unwrap();
    let nowhere = url.replace("&host=/", "&host=/nowhere/");
    let mut command = clinic.doctor(&["--json"]);
    let told = Told::by(command.env("CLAVIGER_DATABASE_URL", nowhere));
    assert!(told.mended_by("database", "error").starts_with("claviger config show"));
    // The tests' own server does not wait for its disk, and says so.
    let told = clinic.look(&[]);
    let whats: Vec<&str> = told.of("database").iter().map(|found| found["what"].as_str().unwrap()).collect();
    assert_eq!(whats, ["PostgreSQL runs with fsync = off", "PostgreSQL runs with full_page_writes = off"]);
    assert_eq!(told.of("database")[0]["mend"]["command"], "psql -c 'ALTER SYSTEM SET fsync = on'");
    let name = url.split('/').nth(3).unwrap().split('?').next().unwrap();
    database(clinic.folder.path())
        .execute_batch(&format!("ALTER DATABASE {name} SET synchronous_commit = off"))
        .unwrap();
    let told = clinic.look(&[]);
    assert!(
        told.of("database")
            .iter()
            .any(|found| found["level"] == "info" && found["what"] == "synchronous_commit is off")
    );
}
