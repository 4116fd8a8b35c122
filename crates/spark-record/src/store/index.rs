//! The index of a run: an SQLite database.
//!
//! Its journal is a write-ahead log while a run is written: a reader then never waits for the writer nor the writer for
//! a reader, and a commit appends to one file instead of waiting for the disk. A process that is killed loses nothing
//! that was committed. When a run ends the log goes into the database and the journal becomes an ordinary one, so that
//! the run is one file less and can be read where nothing may be written.

use rusqlite::{Connection, OpenFlags, Row, params};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::recording::WindowInfo;
use super::{RUN_FORMAT, StoreError};
use crate::Stream;

const SCHEMA: &str = "
CREATE TABLE scalars(name TEXT NOT NULL, step INTEGER NOT NULL, wall REAL NOT NULL, value REAL);
CREATE INDEX scalars_of_name ON scalars(name, step);
CREATE TABLE events(step INTEGER NOT NULL, wall REAL NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL);
CREATE TABLE tags(name TEXT NOT NULL, step INTEGER NOT NULL, value INTEGER NOT NULL);
CREATE INDEX tags_of_name ON tags(name, step);
CREATE TABLE warnings(step INTEGER NOT NULL, wall REAL NOT NULL, message TEXT NOT NULL);
CREATE TABLE windows(
    id INTEGER PRIMARY KEY,
    measurement TEXT NOT NULL,
    grp INTEGER,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    dt REAL NOT NULL,
    rows INTEGER NOT NULL,
    file TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL
);
CREATE INDEX windows_of_measurement ON windows(measurement, first);
CREATE TABLE streams(
    measurement TEXT NOT NULL,
    name TEXT NOT NULL,
    place INTEGER NOT NULL,
    description TEXT NOT NULL,
    PRIMARY KEY(measurement, name)
);
";

/// The value of something at a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scalar {
    /// The step.
    pub step: u64,
    /// When it was recorded, in seconds since 1970.
    pub wall: f64,
    /// The value.
    pub value: f64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct RunEvent {
    /// The step.
    pub step: u64,
    /// When it was recorded, in seconds since 1970.
    pub wall: f64,
    /// What kind of thing it is.
    pub kind: String,
    /// More about it.
    pub detail: Value,
}

/// The value of a tag, such as the episode, from a step on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The step.
    pub step: u64,
    /// The value.
    pub value: i64,
}

/// Something that should not be.
#[derive(Clone, Debug, PartialEq)]
pub struct Warning {
    /// The step.
    pub step: u64,
    /// When it was recorded, in seconds since 1970.
    pub wall: f64,
    /// What it is.
    pub message: String,
}

/// An open index.
pub struct Index {
    pub path: PathBuf,
    pub connection: Connection,
}

impl Index {
    /// A new one.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let index = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        index.prepare_to_write()?;
        index.run(|connection| {
            connection.execute_batch(&format!("BEGIN;{SCHEMA}PRAGMA user_version={RUN_FORMAT};COMMIT;"))
        })?;
        Ok(index)
    }

    /// One that is there, to write to.
    pub fn open_to_write(path: &Path) -> Result<Self, StoreError> {
        let index = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        index.check()?;
        index.prepare_to_write()?;
        Ok(index)
    }

    /// One that is there, to read from.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let index = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        index.check()?;
        Ok(index)
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(StoreError::index(path))?;
        let index = Self { path: path.to_owned(), connection };
        index.run(|connection| connection.busy_timeout(Duration::from_secs(5)))?;
        Ok(index)
    }

    fn prepare_to_write(&self) -> Result<(), StoreError> {
        self.run(|connection| {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "NORMAL")
        })
    }

    fn check(&self) -> Result<(), StoreError> {
        let found = self
            .run(|connection| connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)))?;
        if found > i64::from(RUN_FORMAT) {
            let path = self.path.clone();
            return Err(StoreError::Newer { path, found: found as u64, supported: RUN_FORMAT });
        }
        let tables = "SELECT count(*) FROM sqlite_master WHERE name IN \
                      ('scalars', 'events', 'tags', 'warnings', 'windows', 'streams')";
        let tables: i64 = self.run(|connection| connection.query_row(tables, [], |row| row.get(0)))?;
        if tables != 6 {
            return Err(StoreError::content(&self.path, "not the index of a run: tables are missing"));
        }
        Ok(())
    }

    /// Puts everything into the one file, where no reader is in the way.
    pub fn settle(&self) {
        // A reader that is there keeps the log, and loses nothing by it.
        let _ = self.connection.pragma_update(None, "journal_mode", "DELETE");
    }

    /// Does something with the database; errors name it.
    pub fn run<R>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<R>) -> Result<R, StoreError> {
        work(&self.connection).map_err(StoreError::index(&self.path))
    }

    /// All rows of a query.
    pub fn rows<R>(
        &self,
        query: &str,
        parameters: impl rusqlite::Params,
        read: impl FnMut(&Row) -> rusqlite::Result<R>,
    ) -> Result<Vec<R>, StoreError> {
        self.run(|connection| connection.prepare_cached(query)?.query_map(parameters, read)?.collect())
    }

    /// Puts the row of a window in, and what its streams are.
    pub fn add_window(&self, window: &WindowInfo, streams: &[Stream]) -> Result<(), StoreError> {
        self.run(|connection| {
            let insert = "INSERT OR REPLACE INTO windows(measurement, grp, first, last, dt, rows, file, bytes) \
                          VALUES(?, ?, ?, ?, ?, ?, ?, ?)";
            connection.prepare_cached(insert)?.execute(params![
                window.measurement,
                window.group,
                window.first as i64,
                window.last as i64,
                window.dt,
                window.rows as i64,
                window.file,
                window.bytes as i64,
            ])?;
            let insert = "INSERT OR REPLACE INTO streams(measurement, name, place, description) VALUES(?, ?, ?, ?)";
            let mut insert = connection.prepare_cached(insert)?;
            for (place, stream) in streams.iter().enumerate() {
                let description = serde_json::to_string(stream).unwrap_or_default();
                insert.execute(params![window.measurement, stream.name, place as i64, description])?;
            }
            Ok(())
        })
    }

    /// The rows of all windows.
    pub fn windows(&self) -> Result<Vec<WindowInfo>, StoreError> {
        let query = "SELECT measurement, grp, first, last, dt, rows, file, bytes FROM windows";
        self.rows(query, [], |row| {
            Ok(WindowInfo {
                measurement: row.get(0)?,
                group: row.get(1)?,
                first: row.get::<_, i64>(2)? as u64,
                last: row.get::<_, i64>(3)? as u64,
                dt: row.get(4)?,
                rows: row.get::<_, i64>(5)? as u64,
                file: row.get(6)?,
                bytes: row.get::<_, i64>(7)? as u64,
            })
        })
    }

    /// The streams of each measurement.
    pub fn streams(&self) -> Result<Vec<(String, Stream)>, StoreError> {
        let query = "SELECT measurement, description FROM streams ORDER BY measurement, place";
        let rows = self.rows(query, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        let parse = |(measurement, text): (String, String)| {
            let stream = serde_json::from_str(&text).map_err(|error| {
                StoreError::content(&self.path, format!("a stream of `{measurement}`: {error}"))
            })?;
            Ok((measurement, stream))
        };
        rows.into_iter().map(parse).collect()
    }
}
