//! `claviger doctor`: what is found on this machine, for people and for programs.

use crate::operators::run;
use serde_json::Value;

const CHEAP: [&str; 6] =
    ["doctor", "hash", "--dev", "--hash-memory-kib=4096", "--hash-threads=2", "--target-ms"];

#[test]
fn the_hash_is_measured_for_programs() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, err) = run(folder.path(), &[&CHEAP[..], &["1", "--json"]].concat(), "");
    assert_eq!((code, err.as_str()), (0, ""));
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&found["engine"], &found["threads"]), (&"fast".into(), &2.into()));
    assert_eq!(found["parameters"]["hash_memory_kib"], 4096);
    assert_eq!(found["memory_kib"], 8192);
    assert!(found["huge_pages_kib"].as_u64().is_none_or(|huge| huge <= 8192), "{out}");
    assert_eq!(found["huge_pages_kib"].is_null(), !cfg!(target_os = "linux"));
    let best = if cfg!(target_arch = "x86_64") {
        &["AVX-512", "AVX2", "SSE2"][..]
    } else {
        &["NEON", "no vector instructions"]
    };
    assert!(best.contains(&found["instructions"].as_str().unwrap()), "{out}");
    let rate = |of: &Value| of["hashes_per_second"].as_f64().unwrap();
    let (fast, plain) = (rate(&found["one_thread"]["fast"]), rate(&found["one_thread"]["plain"]));
    assert!(fast > 0.0 && plain > 0.0 && rate(&found["all_threads"]) > 0.0, "{out}");
    assert!((found["fast_by_plain"].as_f64().unwrap() - fast / plain).abs() < 1e-6);
    // Nothing so dear as OWASP's least takes a millisecond.
    let suggested = &found["suggestion"]["parameters"];
    assert_eq!(suggested["hash_memory_kib"], 19456);
    assert_eq!((&suggested["hash_passes"], &suggested["hash_lanes"]), (&2.into(), &1.into()));
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing is made");
}

#[test]
fn the_hash_is_measured_for_people() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [&CHEAP[..], &["150", "--hash-engine", "plain"]].concat();
    let (code, out, err) = run(folder.path(), &arguments, "");
    assert_eq!((code, err.as_str()), (0, ""));
    for said in [
        "engine       plain, with ",
        "parameters   m=4096,t=2,p=1\n",
        "memory       8.0 MiB for 2 threads, ",
        " hashes/s, ",
        " times the plain one",
        "For a hash of 150 ms with all threads at work",
        ":\n  hash_memory_kib = ",
        "  hash_lanes = 1\n",
    ] {
        assert!(out.contains(said), "{said}: {out}");
    }
}

#[test]
fn what_no_login_could_wait_for_is_not_measured() {
    let folder = tempfile::tempdir().unwrap();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = format!("--hash-threads={}", (cores * 16).min(1024));
    let dear =
        ["doctor", "hash", &threads, "--hash-memory-kib=16384", "--hash-passes=64", "--hash-engine=plain"];
    let (code, out, err) = run(folder.path(), &dear, "");
    assert!(code == 1 && out.is_empty() && err.contains("Lower hash_memory_kib"), "{err}");
    let (code, _, err) = run(folder.path(), &["doctor", "hash", "--target-ms", "0"], "");
    assert!(code == 2 && err.contains("--target-ms"), "{err}");
}
