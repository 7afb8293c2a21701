//! What metrics show of the database, looked at beforehand: the page itself asks nobody and never waits.

use crate::app::App;
use crate::metrics::Id;
use crate::{db, keys, sessions};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Between the parts of a count, so that it takes little of the database at any moment.
const PAUSE: Duration = Duration::from_millis(10);

/// How the signing keys stand.
pub(super) async fn keys(app: Arc<App>) -> Result<(), keys::Error> {
    let lives = keys::flow::look(&app.db).await?;
    *app.key_lives.lock().unwrap_or_else(PoisonError::into_inner) = lives;
    Ok(())
}

/// Counts the live sessions, a stretch of their index at a time.
pub(super) async fn sessions(app: Arc<App>) -> Result<(), db::Error> {
    let (mut count, mut after) = (0, app.clock.now());
    loop {
        let (live, next) = sessions::flow::count_after(&app.db, after).await?;
        count += live;
        match next {
            Some(next) => after = next,
            None => break,
        }
        tokio::time::sleep(PAUSE).await;
    }
    app.metrics.set(Id::SessionsLive, &[], Some(count));
    Ok(())
}
