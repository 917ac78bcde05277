//! The containers of packages, written by hand: everything is stored uncompressed.

/// A file of a package: path and text.
pub(super) type File = (String, String);

/// A tar (POSIX ustar) inside gzip (RFC 1952).
pub(super) fn tar_gz(files: &[File]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (path, text) in files {
        tar.extend(tar_header(path, text.len()));
        tar.extend(text.as_bytes());
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.extend([0; 1024]);
    gzip(&tar)
}

fn tar_header(path: &str, size: usize) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, path);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{size:011o}\0"));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar");
    put(263, "00");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// Stored blocks (RFC 1951, 3.2.4) of at most 65,535 bytes.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = bytes.chunks(65_535).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(crc32(bytes).to_le_bytes());
    out.extend(short(bytes.len()).to_le_bytes());
    out
}

/// A zip (APPNOTE 6.3, 4.3) of stored files.
pub(super) fn zip(files: &[File]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (path, text) in files {
        let (sum, size) = (crc32(text.as_bytes()).to_le_bytes(), short(text.len()).to_le_bytes());
        let name = u16::try_from(path.len()).unwrap_or(u16::MAX).to_le_bytes();
        // Version, flags, method, and the first of January 1980.
        let common = [&[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0][..], &sum, &size, &size, &name].concat();
        let at = short(out.len()).to_le_bytes();
        out.extend(
            [b"PK\x03\x04", &common[..], &[0, 0], path.as_bytes(), text.as_bytes()].concat(),
        );
        let entry = [b"PK\x01\x02", &[20, 0][..], &common, &[0; 12], &at, path.as_bytes()];
        directory.extend(entry.concat());
    }
    let count = u16::try_from(files.len()).unwrap_or(u16::MAX).to_le_bytes();
    let (size, at) = (short(directory.len()).to_le_bytes(), short(out.len()).to_le_bytes());
    out.extend(directory);
    out.extend([b"PK\x05\x06", &[0; 4][..], &count, &count, &size, &at, &[0, 0]].concat());
    out
}

fn short(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The sum that gzip and zip share (ISO 3309), bit by bit: the packages are small.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
    !bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_sum_is_right() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
