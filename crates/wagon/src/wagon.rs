//! A wagon: what it holds, checked.

use std::{
    collections::BTreeMap,
    io::{Read, Seek, Write as _},
};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use sha2::{Digest as _, Sha256};
use waggoner_types::Digest;

use crate::{
    Budget, Flaw, Format, Metadata, Refusal, WheelName,
    archive::{Content, Entry, Kind, walk},
    normalized_name,
    refusal::excerpt,
};

/// A wagon that was read whole: its wheels are there, all of them, and nothing leads out of it.
#[derive(Clone, Debug)]
pub struct Wagon {
    /// Where it was read.
    pub path: Utf8PathBuf,
    /// How it is packed.
    pub format: Format,
    /// What it says of itself.
    pub metadata: Metadata,
    /// Its wheels, by name.
    pub wheels: Vec<Wheel>,
    budget: Budget,
}

/// A wheel in a wagon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wheel {
    /// Its file name.
    pub name: WheelName,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub digest: Digest,
}

/// What was found of a wagon so far.
#[derive(Default)]
struct Found {
    /// Where wheels are unpacked to, if they are.
    into: Option<Utf8PathBuf>,
    top: Option<String>,
    metadata: Option<Metadata>,
    wheels: BTreeMap<String, (u64, Digest)>,
}

const KIND: &str = "wagon";
const DESCRIPTION: &str = "package.json";
const WHEELS: &str = "wheels/";

// === impl Wagon ===

impl Wagon {
    /// Reads and checks a wagon, all of it.
    pub fn open(path: &Utf8Path, budget: &Budget) -> Result<Self, Refusal> {
        let file = fs::File::open(path.as_std_path())
            .map_err(|error| Flaw::Unreadable(error).of(KIND, path))?;
        Self::read(path, std::io::BufReader::new(file), budget)
    }

    /// Reads and checks a wagon, and unpacks its wheels into a directory, which is made, at the same
    /// time. After an error some of them may be there.
    ///
    /// What the wagon says of itself is told as soon as it is read, mostly before the wheels are; it
    /// may still be refused then.
    pub fn unpack(
        path: &Utf8Path,
        budget: &Budget,
        into: &Utf8Path,
        described: impl FnOnce(&Metadata),
    ) -> Result<Self, Refusal> {
        let file = fs::File::open(path.as_std_path())
            .map_err(|error| Flaw::Unreadable(error).of(KIND, path))?;
        fs::create_dir_all(into.as_std_path())
            .map_err(|error| Flaw::unwritable(into, error).of(KIND, path))?;
        let found = Found { into: Some(into.to_owned()), ..Found::default() };
        Self::read_as(path, std::io::BufReader::new(file), budget, found, described)
    }

    /// Reads and checks a wagon under a name for messages.
    pub fn read(
        name: &Utf8Path,
        source: impl Read + Seek,
        budget: &Budget,
    ) -> Result<Self, Refusal> {
        Self::read_as(name, source, budget, Found::default(), |_| {})
    }

    fn read_as(
        name: &Utf8Path,
        source: impl Read + Seek,
        budget: &Budget,
        mut found: Found,
        described: impl FnOnce(&Metadata),
    ) -> Result<Self, Refusal> {
        let mut described = Some(described);
        let walked = walk(source, budget, &mut |entry, content| {
            found.take(entry, content, budget)?;
            if let Some(metadata) = &found.metadata
                && let Some(described) = described.take()
            {
                described(metadata);
            }
            Ok(())
        });
        let checked = walked.and_then(|format| {
            let (metadata, wheels) = found.check()?;
            Ok(Self { path: name.to_owned(), format, metadata, wheels, budget: *budget })
        });
        checked.map_err(|flaw| flaw.of(KIND, name))
    }

    /// Unpacks the wheels into a directory, which is made; on an error nothing of them stays.
    ///
    /// Fails as well when the file changed since it was read.
    pub fn extract_wheels(&self, into: &Utf8Path) -> Result<(), Refusal> {
        let file = fs::File::open(self.path.as_std_path())
            .map_err(|error| Flaw::Unreadable(error).of(KIND, &self.path))?;
        fs::create_dir_all(into.as_std_path())
            .map_err(|error| Flaw::unwritable(into, error).of(KIND, &self.path))?;
        let mut written = Vec::new();
        let walked = walk(std::io::BufReader::new(file), &self.budget, &mut |entry, content| {
            let Some((_, inner)) = entry.path.split_once('/') else { return Ok(()) };
            let Some(name) = inner.strip_prefix(WHEELS) else { return Ok(()) };
            let Some(wheel) = self.wheels.iter().find(|wheel| wheel.name.as_str() == name) else {
                return Ok(());
            };
            let path = into.join(name);
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(path.as_std_path())
                .map_err(|error| Flaw::unwritable(&path, error))?;
            written.push(path.clone());
            let mut hasher = Sha256::new();
            content.each(|piece| {
                hasher.update(piece);
                std::io::Write::write_all(&mut file, piece)
                    .map_err(|error| Flaw::unwritable(&path, error))
            })?;
            if Digest(hasher.finalize().into()) == wheel.digest {
                Ok(())
            } else {
                Err(Flaw::entry(&entry.path, "changed since the wagon was read"))
            }
        });
        let complete = walked.and_then(|_| {
            if written.len() == self.wheels.len() {
                Ok(())
            } else {
                Err(Flaw::archive("changed since it was read"))
            }
        });
        complete.map_err(|flaw| {
            for path in &written {
                drop(fs::remove_file(path.as_std_path()));
            }
            flaw.of(KIND, &self.path)
        })
    }

    /// Returns the wheel of a distribution, if the wagon carries one.
    pub fn wheel(&self, distribution: &str) -> Option<&Wheel> {
        let wanted = normalized_name(distribution);
        self.wheels.iter().find(|wheel| wheel.name.distribution == wanted)
    }
}

// === impl Found ===

impl Found {
    fn take(
        &mut self,
        entry: &Entry,
        content: &mut Content<'_>,
        budget: &Budget,
    ) -> Result<(), Flaw> {
        if let Kind::Link { .. } = entry.kind {
            return Err(Flaw::entry(&entry.path, "is a link, which a wagon has none of"));
        }
        let (top, inner) = entry.path.split_once('/').unwrap_or((&entry.path, ""));
        if inner.is_empty() && entry.kind != Kind::Directory {
            let reason = "lies outside of the one directory that a wagon consists of";
            return Err(Flaw::entry(&entry.path, reason));
        }
        match &self.top {
            None => self.top = Some(top.to_owned()),
            Some(first) if first == top => {}
            Some(first) => {
                let reason =
                    format!("lies outside of `{}/`, the wagon's directory", excerpt(first));
                return Err(Flaw::entry(&entry.path, reason));
            }
        }
        if entry.kind == Kind::Directory {
            return Ok(());
        }
        if inner == DESCRIPTION {
            self.metadata = Some(Metadata::read(&content.read_all(budget.metadata_bytes)?)?);
        } else if let Some(name) = inner.strip_prefix(WHEELS) {
            // What has no wheel's name is refused in the end, and written nowhere.
            let into = self.into.as_ref().filter(|_| name.parse::<WheelName>().is_ok());
            let into = into.map(|into| into.join(name));
            self.wheels.insert(name.to_owned(), wheel(entry, content, into.as_deref())?);
        }
        Ok(())
    }

    fn check(mut self) -> Result<(Metadata, Vec<Wheel>), Flaw> {
        let metadata = self.metadata.ok_or_else(|| {
            Flaw::archive("has no package.json in its top directory, so it is not a wagon")
        })?;
        let mut wheels = Vec::with_capacity(metadata.wheels.len());
        for listed in &metadata.wheels {
            let Some((size, digest)) = self.wheels.remove(listed) else {
                let message = format!("lists the wheel `{listed}`, which the wagon does not hold");
                return Err(Flaw::metadata(message));
            };
            let name = listed.parse().expect("the description's wheels were checked");
            wheels.push(Wheel { name, size, digest });
        }
        if let Some(unlisted) = self.wheels.keys().next() {
            let reason = "is not among the wheels that package.json lists";
            return Err(Flaw::entry(&format!("{WHEELS}{unlisted}"), reason));
        }
        let package = normalized_name(&metadata.package_name);
        if !wheels.iter().any(|wheel| wheel.name.distribution == package) {
            let name = &metadata.package_name;
            return Err(Flaw::metadata(format!("lists no wheel of the package `{name}` itself")));
        }
        wheels.sort_by(|one, two| one.name.as_str().cmp(two.name.as_str()));
        Ok((metadata, wheels))
    }
}

/// Reads a wheel, and copies it to a file that is not there yet.
fn wheel(
    entry: &Entry,
    content: &mut Content<'_>,
    into: Option<&Utf8Path>,
) -> Result<(u64, Digest), Flaw> {
    let mut file = match into {
        Some(path) => {
            let new = fs::OpenOptions::new().write(true).create_new(true).open(path.as_std_path());
            Some((new.map_err(|error| Flaw::unwritable(path, error))?, path))
        }
        None => None,
    };
    let mut hasher = Sha256::new();
    let mut size = 0;
    let mut head = Vec::new();
    content.each(|piece| {
        if head.len() < 4 {
            head.extend_from_slice(&piece[..piece.len().min(4)]);
        }
        hasher.update(piece);
        size += piece.len() as u64;
        match &mut file {
            Some((file, path)) => {
                file.write_all(piece).map_err(|error| Flaw::unwritable(*path, error))
            }
            None => Ok(()),
        }
    })?;
    if !head.starts_with(b"PK\x03\x04") {
        return Err(Flaw::entry(&entry.path, "is not a wheel: it is not a zip"));
    }
    Ok((size, Digest(hasher.finalize().into())))
}
