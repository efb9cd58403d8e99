//! Makes a wagon of wheels, as `wagon create` does.

use std::io::{self, Write};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use crate::{
    Budget, Flaw, Format, Metadata, OsProperties, Refusal, Wagon, WheelName, normalized_name,
    tree::Tarball,
};

/// What a wagon is to be made of.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The plugin's package.
    pub package_name: String,
    /// Its version.
    pub package_version: String,
    /// What it was made of, for those who ask later.
    pub package_source: String,
    /// The tags of the interpreters that it is for: `py311`.
    pub python_tags: Vec<String>,
    /// Where it is made, kept when a wheel is not for every platform.
    pub os: OsProperties,
}

/// A wagon that was made.
#[derive(Clone, Debug)]
pub struct Packed {
    /// Where it is: the directory asked for and the name that wagons have.
    pub path: Utf8PathBuf,
    /// What it says of itself.
    pub metadata: Metadata,
}

/// Why no wagon was made.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The directory of wheels is none.
    #[error("failed to make a wagon of the wheels in `{wheels}`: {reason}")]
    Wheels {
        /// The directory.
        wheels: Utf8PathBuf,
        /// A clause.
        reason: String,
    },
    /// The wagon could not be written.
    #[error("failed to write the wagon into `{out}`: {flaw}")]
    Write {
        /// The directory that it was to stand in.
        out: Utf8PathBuf,
        /// Why.
        flaw: Flaw,
    },
    /// What was written would not be taken.
    #[error("failed to make a wagon that would be taken")]
    Check(#[source] Refusal),
}

/// Makes a wagon, a zip or else a tar.gz, of all wheels of a directory and puts it into another.
///
/// Its bytes depend on nothing but the recipe and the wheels. It is read again before it gets its
/// name, so that what is made here is taken there.
pub fn write(
    recipe: &Recipe,
    wheels: &Utf8Path,
    out: &Utf8Path,
    format: Format,
) -> Result<Packed, WriteError> {
    let names = wheel_names(recipe, wheels)
        .map_err(|reason| WriteError::Wheels { wheels: wheels.to_owned(), reason })?;
    let metadata = describe(recipe, &names);
    let path = out.join(&metadata.archive_name);
    let partial = out.join(format!(".{}.partial", metadata.archive_name));
    let written = fs::create_dir_all(out.as_std_path())
        .map_err(|error| Flaw::unwritable(out, error))
        .and_then(|()| write_archive(&metadata, &names, wheels, &partial, format));
    let checked = match written {
        Err(flaw) => Err(WriteError::Write { out: out.to_owned(), flaw }),
        Ok(()) => Wagon::open(&partial, &Budget::WAGON).map_err(WriteError::Check).and_then(|_| {
            fs::rename(partial.as_std_path(), path.as_std_path()).map_err(|error| {
                WriteError::Write { out: out.to_owned(), flaw: Flaw::unwritable(&path, error) }
            })
        }),
    };
    match checked {
        Ok(()) => Ok(Packed { path, metadata }),
        Err(error) => {
            drop(fs::remove_file(partial.as_std_path()));
            Err(error)
        }
    }
}

/// Returns the names of the wheels in a directory, in order; anything else there is refused.
fn wheel_names(recipe: &Recipe, wheels: &Utf8Path) -> Result<Vec<WheelName>, String> {
    let mut names = Vec::new();
    for entry in wheels.read_dir_utf8().map_err(|error| error.to_string())? {
        let entry = entry.map_err(|error| error.to_string())?;
        let name = entry.file_name();
        names.push(name.parse().map_err(|reason| format!("`{name}` is no wheel: {reason}"))?);
    }
    names.sort_by(|one: &WheelName, two| one.as_str().cmp(two.as_str()));
    let own = normalized_name(&recipe.package_name);
    if names.iter().any(|name| name.distribution == own) {
        Ok(names)
    } else {
        Err(format!("none is of the package `{}`", recipe.package_name))
    }
}

fn describe(recipe: &Recipe, wheels: &[WheelName]) -> Metadata {
    let platform = platform(wheels);
    let archive_name = format!(
        "{}-{}-{}-none-{platform}.wgn",
        recipe.package_name.replace('-', "_"),
        recipe.package_version,
        recipe.python_tags.join(".")
    );
    Metadata {
        created_by_wagon_version: format!("waggoner {}", env!("CARGO_PKG_VERSION")),
        archive_name,
        package_name: recipe.package_name.clone(),
        package_version: recipe.package_version.clone(),
        package_build_tag: String::new(),
        package_source: recipe.package_source.clone(),
        build_server_os_properties: if platform == "any" {
            OsProperties::default()
        } else {
            recipe.os.clone()
        },
        supported_platform: platform,
        supported_python_versions: recipe.python_tags.clone(),
        python_requires: String::new(),
        wheels: wheels.iter().map(|wheel| wheel.as_str().to_owned()).collect(),
        files: Vec::new(),
        excluded_wheels: Vec::new(),
    }
}

/// Derives the platform of a set of wheels (`_get_platform_for_set_of_wheels` in wagon.py, and
/// its rewriting of `manylinux` in `create`): `any` when all are pure, else what the most
/// particular of them needs.
fn platform(wheels: &[WheelName]) -> String {
    let tags = || wheels.iter().filter(|wheel| !wheel.is_pure()).flat_map(|wheel| &wheel.platform);
    let machine = |tag: &str| {
        ["x86_64", "aarch64", "i686", "armv7l", "ppc64le", "s390x"]
            .into_iter()
            .find(|machine| tag.ends_with(&format!("_{machine}")))
            .map(|machine| format!("linux_{machine}"))
    };
    match tags().find(|tag| tag.starts_with("linux_")).or_else(|| tags().next()) {
        None => "any".to_owned(),
        Some(tag) if tag.starts_with("manylinux") => machine(tag).unwrap_or_else(|| tag.clone()),
        Some(tag) => tag.clone(),
    }
}

fn write_archive(
    metadata: &Metadata,
    names: &[WheelName],
    wheels: &Utf8Path,
    out: &Utf8Path,
    format: Format,
) -> Result<(), Flaw> {
    let unwritable = |error| Flaw::unwritable(out, error);
    let mut description = serde_json::to_vec_pretty(metadata).expect("it is plain data");
    description.push(b'\n');
    let top = &metadata.package_name;
    let file = fs::File::create(out.as_std_path()).map_err(unwritable)?;
    let file = if format == Format::Zip {
        let mut zip = ZipWriter::new(file);
        let broken = |error: zip::result::ZipError| unwritable(io::Error::other(error));
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored) // Wheels are compressed already.
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644);
        zip.start_file(format!("{top}/package.json"), options).map_err(broken)?;
        zip.write_all(&description).map_err(unwritable)?;
        for name in names {
            zip.start_file(format!("{top}/wheels/{name}"), options).map_err(broken)?;
            let mut wheel = fs::File::open(wheels.join(name.as_str()).as_std_path())
                .map_err(Flaw::Unreadable)?;
            io::copy(&mut wheel, &mut zip).map_err(unwritable)?;
        }
        zip.finish().map_err(broken)?
    } else {
        let mut tarball = Tarball::new(out, file);
        tarball.directory(top)?;
        tarball.bytes(&format!("{top}/package.json"), &description)?;
        tarball.directory(&format!("{top}/wheels"))?;
        for name in names {
            tarball.file(&format!("{top}/wheels/{name}"), &wheels.join(name.as_str()))?;
        }
        tarball.finish()?
    };
    file.sync_all().map_err(unwritable)
}
