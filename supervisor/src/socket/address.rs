//! The name of a run's control socket: `@braid/<uid of the segment's owner>/<hash of the segment's path>`.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::SocketAddr;
use std::path::Path;

/// The name, without the leading zero byte that makes it abstract.
fn name(owner: u32, path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    format!(
        "braid/{owner}/{:016x}",
        shm_layout::hash::bytes(path.as_os_str().as_bytes())
    )
}

/// The address of the control socket of the run whose segment is the file at `segment`. Every process computes the
/// same one, whatever way it was given the path.
///
/// # Errors
/// When the segment's file cannot be looked at.
pub fn of_segment(segment: &Path) -> io::Result<SocketAddr> {
    let path = segment.canonicalize()?;
    let owner = path.metadata()?.uid();
    SocketAddr::from_abstract_name(name(owner, &path))
}

/// Whether the process at the other end of a connection may be spoken with: the same user, or root.
pub fn trusted(stream: &std::os::unix::net::UnixStream, owner: u32) -> bool {
    use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
    getsockopt(stream, PeerCredentials).is_ok_and(|peer| peer.uid() == 0 || peer.uid() == owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_has_one_address_however_it_is_named() {
        let folder = std::env::temp_dir().join(format!("braid-address-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("segment");
        std::fs::write(&file, b"x").unwrap();
        let dotted = folder.join(".").join("segment");
        let plain = of_segment(&file).unwrap();
        assert_eq!(
            plain.as_abstract_name(),
            of_segment(&dotted).unwrap().as_abstract_name()
        );
        assert!(of_segment(&folder.join("other")).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn users_and_paths_have_their_own_addresses() {
        let path = Path::new("/dev/shm/braid-default");
        assert_ne!(name(0, path), name(1000, path));
        assert_ne!(name(0, path), name(0, Path::new("/dev/shm/braid-other")));
        assert!(
            name(u32::MAX, path).len() < 100,
            "an abstract name has 107 bytes at most"
        );
    }
}
