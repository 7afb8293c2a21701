//! Making a backup, reading it through, and bringing it back.

use super::Error;
use super::contents::{Contents, Report};
use super::format::{Piece, Reader, Writer};
use super::header::{Header, Told, Trailer};
use crate::audit::{self, Event, Kind, Origin};
use crate::base::time::Timestamp;
use crate::config::{Config, MasterKeySource};
use crate::db::copy::{Filling, Location, Stage, Table, Watch, layout};
use crate::db::{self, Db, Tx};
use crate::{keys, sessions, status};
use claviger_crypto::seal::MasterKey;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// Whether who called a command wants it still.
pub type Wanted = Arc<AtomicBool>;

/// Indices of the status lists that are left out on a restore, for each second since the backup was made: more than
/// any installation can have given out since.
const SKIPPED_A_SECOND: u64 = 4096;

/// Which backup is to be made.
#[derive(Debug)]
pub struct Wish {
    /// Its id.
    pub id: Uuid,
    /// The time.
    pub now: Timestamp,
    /// The master key, unless it is left out.
    pub master: Option<MasterKey>,
}

/// Notes in the audit trail that a backup is made, before it is: nobody takes one without a trace, and it holds the
/// note itself. With the master key the trail is sealed up to there.
///
/// # Errors
/// If the database fails, or the master key is not the one it was begun with.
pub async fn announce(
    db: &Db,
    wish: &Wish,
    sealed_for: &str,
    origin: &Origin,
    master: Option<&MasterKey>,
) -> Result<(), Error> {
    if let Some(master) = master {
        keys::flow::expect_opens(db, master).await?;
        keys::flow::expect_same(db, master).await?;
    }
    let with = if wish.master.is_some() { "with" } else { "without" };
    let detail = format!("{}, sealed for {sealed_for}, {with} the master key", wish.id);
    let event = Event::new(Kind::BackupCreate, origin.clone(), wish.now).detail(detail);
    db.write::<_, db::Error, _>(move |tx| audit::flow::append(tx, &event)).await?;
    if let Some(master) = master {
        audit::flow::seal(db, &audit::key(master)).await.map_err(|error| match error {
            audit::Error::Db(error) => Error::from(error),
            audit::Error::Broken(broken) => Error::Refused(format!(
                "{broken}. Look at it by `claviger audit verify`; --without-master-key makes a backup all the same"
            )),
        })?;
    }
    Ok(())
}

/// Writes all tables as they are at one moment; what they were written to comes back.
///
/// # Errors
/// If the database or the writing fails.
pub fn create<W: Write + Send + 'static>(
    db: &Db,
    wish: Wish,
    out: W,
    watch: impl Watch + Send + 'static,
    wanted: Wanted,
) -> Result<(W, Header, Trailer), Error> {
    let engine = if db.is_remote() { "postgres" } else { "sqlite" };
    let header = Header {
        id: wish.id,
        made_at: wish.now,
        program: env!("CARGO_PKG_VERSION").into(),
        engine: engine.into(),
        master_key: wish.master,
        ..Header::default()
    };
    let mut begin = Some((out, header));
    db.snapshot(move |tx| {
        // What was written out cannot be taken back, so it is done once.
        let (out, header) = begin.take().ok_or_else(|| Error::Write("it was begun twice".into()))?;
        dump(tx, header, out, &watch, &wanted)
    })
}

fn dump<W: Write>(
    tx: &mut Tx<'_>,
    mut header: Header,
    out: W,
    watch: &impl Watch,
    wanted: &AtomicBool,
) -> Result<(W, Header, Trailer), Error> {
    header.schema = db::schema(tx)?;
    header.schema_digest = db::schema_digest(header.schema)?;
    let tables = layout(header.schema)?;
    for table in &tables {
        let columns = table.columns().map(|(name, kind)| (name.to_owned(), kind)).collect();
        header.tables.push(Told { name: table.name().to_owned(), columns, rows: table.rows(tx)? });
    }
    watch.begin(Stage::Saving, header.rows());
    let mut writer = Writer::begin(out, header)?;
    for table in &tables {
        watch.table(table.name());
        writer.table()?;
        let mut rows = 0;
        table.pages(tx, |page| {
            if !wanted.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            page.iter().try_for_each(|row| writer.row(row))?;
            rows += page.len() as u64;
            watch.done(page.len() as u64);
            Ok(())
        })?;
        watch.table_done(table.name(), rows);
    }
    writer.finish()
}

/// Reads a backup to its end and says what is in it. Without a master key of its own, this one is tried.
///
/// # Errors
/// If it is damaged, or cannot be read.
pub fn verify(
    input: impl Read,
    master: Option<&MasterKey>,
    watch: &impl Watch,
    wanted: &AtomicBool,
) -> Result<Report, Error> {
    let mut reader = Reader::open(input)?;
    expect_known(reader.header())?;
    let mut contents = Contents::new(reader.header(), master);
    watch.begin(Stage::Checking, reader.header().rows());
    let mut at = 0;
    loop {
        if !wanted.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        match reader.next()? {
            Piece::Table(number) => {
                at = number;
                reader.header().tables.get(at).inspect(|table| watch.table(&table.name));
            }
            Piece::Row(row) => {
                contents.row(reader.header(), at, &row);
                watch.done(1);
            }
            Piece::End(trailer) => return Ok(contents.finish(reader.header().clone(), trailer)),
        }
    }
}

/// Whether this program knows the schema of a backup.
fn expect_known(header: &Header) -> Result<(), Error> {
    let (schema, newest) = (header.schema, db::newest_schema());
    if schema > newest {
        return Err(Error::Refused(format!(
            "the backup has schema {schema}, this program knows {newest}: a newer version ({}) has made it. Use that version or a later one",
            header.program
        )));
    }
    let tables = layout(schema)?;
    let is_same = |(table, told): (&Arc<Table>, &Told)| {
        let columns = told.columns.iter().map(|(name, kind)| (name.as_str(), *kind));
        table.name() == told.name && table.columns().eq(columns)
    };
    let same = tables.len() == header.tables.len() && tables.iter().zip(&header.tables).all(is_same);
    if same && db::schema_digest(schema)? == header.schema_digest {
        return Ok(());
    }
    let program = &header.program;
    Err(Error::Refused(format!(
        "the tables of the backup are not those that this program has at schema {schema}. Use the version that made it ({program})"
    )))
}

/// Brings a backup back into the empty place that the settings name, and its master key into the data folder where it
/// belongs there. Servers stay off until all is there and was compared.
///
/// # Errors
/// If the backup is not good, or the place is not empty or cannot be written. What was written stays, under a mark
/// that keeps servers off, and the same restore goes on from there.
pub async fn restore(
    input: impl Read,
    config: &Config,
    origin: &Origin,
    now: Timestamp,
    watch: &impl Watch,
) -> Result<Report, Error> {
    let mut reader = Reader::open(input)?;
    expect_known(reader.header())?;
    let header = reader.header().clone();
    let master = Master::of(&header, &config.master_key)?;
    let place = match &config.database_url {
        Some(url) => Location::Server(Box::new(url.clone())),
        None => {
            expect_empty(&config.data_dir)?;
            Location::Folder(config.data_dir.clone())
        }
    };
    let tables = layout(header.schema)?;
    let identity = claviger_crypto::sha256(&header.to_json()?);
    let mut filling = Filling::begin(&place, &header.name(), identity, header.schema, tables, now)?;
    let mut contents = Contents::new(&header, Some(&master.key));
    let trailer = fill(&mut reader, &mut filling, &mut contents, watch).await?;
    compare(&filling, &header, &trailer, watch).await?;
    let report = contents.finish(header, trailer);
    report.expect_key()?;
    master.keep(&config.data_dir)?;
    let detail = format!("{}: what was done after that is not in the trail", report.header.name());
    let event = Event::new(Kind::BackupRestore, origin.clone(), now).detail(detail);
    let skipped = skipped(now.since(report.header.made_at));
    let finished = filling.finish(now, move |tx| {
        status::flow::skip(tx, skipped)?;
        sessions::flow::restored(tx, now)?;
        audit::flow::append(tx, &event)
    });
    let db = finished.await?;
    // What cannot be sealed, the chain being broken, is a finding of the report.
    if let Err(audit::Error::Db(error)) = audit::flow::seal(&db, &audit::key(&master.key)).await {
        return Err(error.into());
    }
    drop(db);
    db::give_folder_to_owner(&config.data_dir)?;
    Ok(report)
}

/// How many status indices are left out after that time: at least as many as one list has.
fn skipped(since: Duration) -> u64 {
    status::list::SIZE.saturating_add(since.as_secs().saturating_mul(SKIPPED_A_SECOND))
}

async fn fill(
    reader: &mut Reader<impl Read>,
    filling: &mut Filling,
    contents: &mut Contents,
    watch: &impl Watch,
) -> Result<Trailer, Error> {
    let header = reader.header().clone();
    watch.begin(Stage::Restoring, header.rows());
    let (mut at, mut there, mut page) = (0, 0_u64, Vec::new());
    loop {
        let piece = reader.next()?;
        if page.len() >= Filling::MOST || !matches!(piece, Piece::Row(_)) {
            let rows = page.len() as u64;
            filling.write(at, std::mem::take(&mut page)).await?;
            watch.done(rows);
            // Signals are heeded here.
            tokio::task::yield_now().await;
        }
        match piece {
            Piece::Table(number) => {
                (at, there) = (number, filling.there(number));
                header.tables.get(at).inspect(|table| watch.table(&table.name));
            }
            Piece::Row(row) => {
                contents.row(&header, at, &row);
                match there.checked_sub(1) {
                    Some(left) => there = left,
                    None => page.push(row),
                }
            }
            Piece::End(trailer) => return Ok(trailer),
        }
    }
}

/// Makes sure that the database holds what the backup does.
async fn compare(
    filling: &Filling,
    header: &Header,
    trailer: &Trailer,
    watch: &impl Watch,
) -> Result<(), Error> {
    watch.begin(Stage::Comparing, header.rows());
    for (number, (table, sum)) in header.tables.iter().zip(&trailer.sums).enumerate() {
        watch.table(&table.name);
        if filling.read(number, watch).await? != *sum {
            return Err(Error::Refused(format!(
                "what is restored differs from the backup in {}: it was changed meanwhile. No server will start on it. Empty it and begin again",
                table.name
            )));
        }
    }
    Ok(())
}

/// What may be in a data folder that counts as empty: what the system puts into every volume, a master key that was
/// brought along, and what an unfinished restore leaves, which is looked at when it is opened.
const HARMLESS: &[&str] = &[
    "lost+found",
    "master.key",
    "master.new",
    "claviger.lock",
    "claviger.db",
    "claviger.db-wal",
    "claviger.db-shm",
];

fn expect_empty(folder: &Path) -> Result<(), Error> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries,
    };
    let named = |error| db::Error::Unavailable(format!("the data folder {}: {error}", folder.display()));
    for entry in entries.map_err(named)? {
        let name = entry.map_err(named)?.file_name();
        if !HARMLESS.iter().any(|harmless| name == *harmless) {
            return Err(Error::Refused(format!(
                "the data folder {} is not empty: it holds {}. Name an empty or a new one with --data-dir",
                folder.display(),
                name.display()
            )));
        }
    }
    Ok(())
}

/// The master key of what is restored.
struct Master {
    key: MasterKey,
    /// Whether it has to be written into the data folder.
    is_new: bool,
}

impl Master {
    /// The one in the backup, which must be the one that the settings name, or else that one.
    fn of(header: &Header, source: &MasterKeySource) -> Result<Self, Error> {
        let there = match source {
            MasterKeySource::Own(path) if !path.exists() => None,
            source => Some(keys::master::obtain(source, false)?),
        };
        match (&header.master_key, there) {
            (Some(held), Some(there)) if held.to_text() != there.to_text() => Err(Error::Refused(
                "the backup holds another master key than the settings name. Leave that setting out, or take master.key \
                 out of the data folder"
                    .into(),
            )),
            (_, Some(key)) => Ok(Self { key, is_new: false }),
            (Some(held), None) => Ok(Self { key: held.clone(), is_new: true }),
            (None, None) => Err(Error::Refused(
                "the backup was made without the master key. Name the one that the server had: --master-key-file, \
                 CLAVIGER_MASTER_KEY, or master.key in the data folder"
                    .into(),
            )),
        }
    }

    /// Writes it where it is missing, before a server may start.
    fn keep(&self, data_dir: &Path) -> Result<(), Error> {
        if !self.is_new {
            return Ok(());
        }
        let path = data_dir.join("master.key");
        let failed = |error: std::io::Error| {
            keys::Error::Master(format!("the master key {} cannot be written: {error}", path.display()))
        };
        db::prepare_folder(data_dir)?;
        Ok(keys::master::put(&path, &self.key).map_err(failed)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_indices_are_left_out_than_can_have_been_given() {
        assert_eq!(skipped(Duration::ZERO), 1 << 20);
        assert_eq!(skipped(Duration::from_secs(86_400)), (1 << 20) + 86_400 * 4096);
        assert!(skipped(Duration::MAX) >= i64::MAX as u64);
    }
}
