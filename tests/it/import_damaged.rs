//! Files that are damaged or cut off: what can be read of them is imported, and the rest is told with its place. And
//! files with a mark before them that is none of their text.

use crate::import::{PASSWORD, line, log_in, sum};
use crate::operators::{Outcome, Town, run};
use serde_json::json;

const MARK: &str = "\u{feff}";

fn import(town: &Town, text: &str, arguments: &[&str]) -> Outcome {
    run(town.folder.path(), &[&["import", "-"], arguments].concat(), text)
}

fn people(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| line(name, &json!({}))).collect()
}

fn realm(users: &str) -> String {
    format!("{{\"realm\": \"shop\", \"users\": [{users}")
}

/// A user as Keycloak exports it, without a password.
fn user(name: &str) -> String {
    json!({"email": format!("{name}@example.org"), "username": name}).to_string()
}

#[test]
fn what_is_there_of_a_file_that_is_not_whole_is_kept() {
    let keep = "--keep-without-password";
    let [ann, ben, eve] = ["ann", "ben", "eve"].map(user);
    let whole = realm(&format!("{ann}, {ben}, {eve}]}}"));
    let cut = &whole[..whole.len() - 9];
    let damaged = realm(&format!("{ann}, {ben} {eve}]}}"));
    let at = damaged.find(&eve).unwrap();
    for (text, why) in [
        (cut, "it ends in the middle: it is not the whole file".to_owned()),
        (damaged.as_str(), format!("it is not JSON at byte {at}")),
    ] {
        let town = Town::start();
        let (code, out, err) = import(&town, text, &[keep, "--dry-run"]);
        let said = "2 would be imported, 0 are there already, 0 would be refused\n";
        assert_eq!((code, out.as_str()), (1, said), "{err}");
        let (code, out, err) = import(&town, text, &[keep]);
        assert_eq!((code, out), (1, sum(2, 0, 0)), "{err}");
        assert!(err.contains(&format!("error: the file, after record 2: {why}. What was")), "{err}");
        assert_eq!(import(&town, &whole, &[keep]).1, sum(1, 2, 0), "it goes on from there");
    }
    let (code, _, err) = import(&Town::start(), "{\"realm\":\"x\"}", &["--from", "keycloak"]);
    assert!(code == 1 && err.contains("error: the file: it has no list of users"), "{err}");
}

#[test]
fn an_open_quote_in_a_long_file_is_told_and_rows_before_it_are_kept() {
    let town = Town::start();
    let row = |name: &str| format!("{name}@example.org,!\n");
    // More than one transaction's worth before it.
    let rows: String = (0..2300).map(|number| row(&format!("p{number}"))).collect();
    let text = format!("email,password_hash\n{rows}\"{}", "x,y\n".repeat(500_000));
    let (code, out, err) = import(&town, &text, &["--report", "refused.jsonl"]);
    assert_eq!((code, out), (1, sum(2300, 0, 0)), "{err}");
    assert!(err.contains("error: the file, after line 2301: a row of more than a megabyte"), "{err}");
}

#[test]
fn lines_after_a_damaged_one_are_imported() {
    let town = Town::start();
    let lines = people(&["ann", "ben", "eve"]);
    let text = format!("{}\n{}\n{}\n{}", lines[0], &lines[1][..40], lines[1], &lines[2][..50]);
    let (code, out, err) = import(&town, &format!("{text}\n"), &[]);
    assert_eq!((code, out), (3, sum(2, 0, 2)), "{err}");
    assert!(err.starts_with("line 2: it is not JSON") && err.contains("\nline 4: it is not JSON"), "{err}");
}

#[test]
fn a_file_that_ends_within_a_line_is_told() {
    let town = Town::start();
    let lines = people(&["ann", "ben", "eve"]).join("\n");
    let rows = "email,password_hash\nann@example.org,!\nben@example.org,!\neve@example.org,!";
    let said = "it ends in the middle: it is not the whole file. What was imported stays";
    for (whole, cut, after) in [
        (lines.as_str(), &lines[..lines.len() - 1], 2),
        (&lines, &lines[..lines.len() - 30], 2),
        (rows, &rows[..rows.len() - 2], 3),
        (rows, &format!("{}\"!", &rows[..rows.len() - 1]), 3),
    ] {
        let town = Town::start();
        let (code, out, err) = import(&town, cut, &[]);
        assert_eq!((code, out), (1, sum(2, 0, 0)), "{cut}: {err}");
        assert!(err.contains(&format!("error: the file, after line {after}: {said}")), "{cut}: {err}");
        let (code, out, err) = import(&town, whole, &[]);
        assert_eq!((code, out), (0, sum(1, 2, 0)), "{whole}: {err}");
    }
    // It may be whole, and then it is imported; but nobody knows.
    let warning = "warning: the file's last line has no newline.";
    let (code, out, err) = import(&town, rows, &[]);
    assert!(code == 0 && out == sum(3, 0, 0) && err.contains(warning), "{out}{err}");
    for ended in [format!("{rows}\n"), format!("{rows}\r\n"), rows.replace('\n', "\r") + "\r", lines.clone()]
    {
        let (code, _, err) = import(&town, &ended, &["--dry-run"]);
        assert!(matches!(code, 0 | 3) && !err.contains("warning"), "{ended:?}: {err}");
    }
    // A line that is wrong by what stands in it is one that is refused, also where it is the last.
    let (code, _, err) = import(&town, "{\"email\": 7}", &[]);
    assert!(code == 3 && err.starts_with("line 1: "), "{err}");
}

#[test]
fn a_row_is_told_by_its_own_number() {
    let town = Town::start();
    let flask = rusqlite::Connection::open(town.folder.path().join("app.db")).unwrap();
    let rows = "CREATE TABLE user (id INTEGER PRIMARY KEY, email TEXT, password TEXT);
        INSERT INTO user VALUES (-5, 'nobody', '!'), (5, 'ann@example.org', '!')";
    flask.execute_batch(rows).unwrap();
    drop(flask);
    let (code, out, err) = run(town.folder.path(), &["import", "app.db", "--report", "refused.jsonl"], "");
    assert_eq!((code, out), (3, sum(1, 0, 1)), "{err}");
    assert!(err.contains("\nrow -5: email "), "{err}");
    let report = std::fs::read_to_string(town.folder.path().join("refused.jsonl")).unwrap();
    assert!(report.starts_with("{\"row\":-5,"), "{report}");
}

#[test]
fn rows_before_a_damaged_page_of_a_table_are_imported() {
    let town = Town::start();
    let path = town.folder.path().join("app.db");
    let flask = rusqlite::Connection::open(&path).unwrap();
    flask.execute_batch("PRAGMA page_size = 512; CREATE TABLE user (email TEXT, password TEXT)").unwrap();
    for number in 0..100 {
        let email = format!("{}{number}@example.org", "x".repeat(40));
        flask.execute("INSERT INTO user VALUES (?1, '!')", [email]).unwrap();
    }
    drop(flask);
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.len() - 512;
    bytes[end..].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let (code, out, err) = run(town.folder.path(), &["import", "app.db"], "");
    let imported: usize = out.split(' ').next().unwrap().parse().unwrap();
    assert!(code == 1 && (80..100).contains(&imported) && out == sum(imported, 0, 0), "{out} {err}");
    assert!(err.contains(&format!("error: table user, after row {imported}: database disk image")), "{err}");
}

#[tokio::test]
async fn a_byte_order_mark_is_no_part_of_any_file() {
    let lines = people(&["ann"]);
    let hash = "sha256$salt$41d0ee043eeb136df0b10dd3dd9b73d76ef38e4b19c48d9ab6a9edcbb44f850c";
    for (text, arguments) in [
        (lines[0].clone(), &[][..]),
        (lines[0].clone(), &["--from", "jsonl"]),
        (format!("email,password_hash\nann@example.org,{hash}\n"), &[]),
        (format!("email,password_hash\nann@example.org,{hash}\n"), &["--from", "csv"]),
        (realm(&format!("{}]}}", user("ann"))), &["--keep-without-password"]),
        (format!("[{}]", lines[0]), &["--from", "auth0"]),
        (format!("[{}]", lines[0]), &["--from", "supabase", "--keep-without-password"]),
    ] {
        let town = Town::start();
        let (code, out, err) = import(&town, &format!("{MARK}{text}"), arguments);
        assert_eq!((code, out), (0, sum(1, 0, 0)), "{arguments:?} {text}: {err}");
        let is_whole = text == lines[0];
        assert_eq!(log_in(&town, "ann", PASSWORD).await.is_some(), is_whole || arguments.contains(&"auth0"));
    }
    let town = Town::start();
    let (code, _, err) = import(&town, "\u{fffd}", &[]);
    assert!(code == 3 && err.starts_with("line 1: it is not JSON, column 1"), "{err}");
    let wide: Vec<u8> = MARK.encode_utf16().chain("{}".encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let file = town.folder.path().join("wide.json");
    std::fs::write(&file, wide).unwrap();
    let (code, _, err) = run(town.folder.path(), &["import", file.to_str().unwrap()], "");
    assert!(code == 1 && err.ends_with("the file: it is UTF-16: save it as UTF-8\n"), "{err}");
}
