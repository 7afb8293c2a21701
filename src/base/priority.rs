//! How much a thread matters beside the others.

/// From now on this thread gives way to those of the server, by so much (`nice`, 0 to 19).
pub fn give_way(by: i32) {
    // On Linux this concerns this thread alone. Not being allowed to is no reason not to work.
    if cfg!(target_os = "linux") {
        let _ = rustix::process::nice(by);
    }
}
