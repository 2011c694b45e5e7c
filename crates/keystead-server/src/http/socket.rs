//! A unix socket as a file: private from its first moment, replaced when nobody listens on it, and
//! gone when the server is.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// A listening socket that removes its file when it is dropped.
#[derive(Debug)]
pub(crate) struct SocketFile {
    pub(crate) listener: UnixListener,
    path: PathBuf,
    /// Device and inode: somebody may have put another file there meanwhile.
    identity: (u64, u64),
}

impl SocketFile {
    /// Listens at `path`, which only this user may connect to. Must be called within a runtime.
    ///
    /// # Errors
    /// When somebody listens there already, when another file is there, or when none can be made.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        refuse_living(path)?;
        // A socket is born with the permissions of the umask. So it is born in a folder that nobody
        // else can enter, and moved: its name never leads to one that others may connect to.
        let nursery = path.with_file_name(format!(".{}", std::process::id()));
        make_private(&nursery)?;
        let bound = Self::bind_in(&nursery, path);
        let removed = fs::remove_dir_all(&nursery);
        let socket = bound?;
        removed?;
        Ok(socket)
    }

    fn bind_in(nursery: &Path, path: &Path) -> io::Result<Self> {
        let born = nursery.join("s");
        let listener = UnixListener::bind(&born)?;
        fs::set_permissions(&born, Permissions::from_mode(0o600))?;
        let file = fs::symlink_metadata(&born)?;
        fs::rename(&born, path)?;
        Ok(Self { listener, path: path.to_owned(), identity: (file.dev(), file.ino()) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|file| (file.dev(), file.ino()) == self.identity);
        if ours {
            // A file that stays behind is replaced by the next start.
            let _stays = fs::remove_file(&self.path);
        }
    }
}

/// Makes a folder for this user alone. One that a killed process left behind is replaced: in a
/// container, every process has the same number.
fn make_private(folder: &Path) -> io::Result<()> {
    let make = || DirBuilder::new().mode(0o700).create(folder);
    match make() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_dir_all(folder)?;
            make()
        }
        made => made,
    }
}

/// Leaves a socket alone that somebody answers on, and everything that is no socket.
fn refuse_living(path: &Path) -> io::Result<()> {
    let file = match fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !file.file_type().is_socket() {
        let text = "a file that is no socket is there";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens there already")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_private_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let socket = SocketFile::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(UnixStream::connect(&path).is_ok());
        let again = SocketFile::bind(&path).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
        drop(socket);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_socket_that_nobody_listens_on_is_replaced_and_no_other_file_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        // The standard library leaves the file behind when its listener is closed.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        fs::create_dir(folder.path().join(format!(".{}", std::process::id()))).unwrap();
        assert!(SocketFile::bind(&path).is_ok());
        fs::write(&path, "precious").unwrap();
        assert_eq!(SocketFile::bind(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_file_that_took_the_place_of_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let socket = SocketFile::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another's").unwrap();
        drop(socket);
        assert!(path.exists());
    }
}
