// SPDX-License-Identifier: Apache-2.0
//! Files.

mod support;

use std::io::{ErrorKind, SeekFrom};
use std::path::PathBuf;

use support::{panic_of, poll_once, run, MS};
use zyntax_async_runtime::fs::{self, File};
use zyntax_async_runtime::*;

/// A path of a file that is removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("zyntax-fs-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        Place(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn what_is_written_is_read() {
    let place = Place::new("written");
    run(async {
        let data: Vec<u8> = (0..5_000_000u32).map(|i| (i / 9) as u8).collect();
        fs::write(&place.0, &data).await.unwrap();
        assert!(fs::read(&place.0).await.unwrap() == data);
        fs::write(&place.0, "text").await.unwrap();
        assert_eq!(fs::read_to_string(&place.0).await.unwrap(), "text");
        fs::write(&place.0, b"\xff").await.unwrap();
        assert_eq!(fs::read_to_string(&place.0).await.unwrap_err().kind(), ErrorKind::InvalidData);
    });
}

#[test]
fn reads_and_writes_move_the_position_and_seek_sets_it() {
    let place = Place::new("position");
    run(async {
        let mut file = File::create_new(&place.0).await.unwrap();
        file.write_all(b"0123456789").await.unwrap();
        assert_eq!(file.stream_position().await.unwrap(), 10);
        file.rewind().await.unwrap();
        let mut buf = [0; 4];
        assert_eq!(file.read_exact(&mut buf).await.unwrap(), 4);
        assert_eq!(&buf, b"0123");
        assert_eq!(file.seek(SeekFrom::Current(-2)).await.unwrap(), 2);
        file.write_all(b"xx").await.unwrap();
        assert_eq!(file.seek(SeekFrom::End(-3)).await.unwrap(), 7);
        assert_eq!(file.read(&mut buf).await.unwrap(), 3);
        assert_eq!(file.read(&mut buf).await.unwrap(), 0);
        assert_eq!(file.read_exact(&mut buf).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(file.seek(SeekFrom::Start(20)).await.unwrap(), 20);
        file.write_all(b"y").await.unwrap(); // behind a hole
        assert_eq!(file.size().await.unwrap(), 21);
        assert_eq!(file.seek(SeekFrom::Current(-50)).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(file.stream_position().await.unwrap(), 21);
        file.sync_all().await.unwrap();
        file.sync_data().await.unwrap();
        file.flush().await.unwrap();
    });
    assert_eq!(std::fs::read(&place.0).unwrap(), b"01xx456789\0\0\0\0\0\0\0\0\0\0y");
}

#[test]
fn appended_bytes_go_to_the_end_and_are_followed_by_the_position() {
    let place = Place::new("append");
    std::fs::write(&place.0, "begin ").unwrap();
    run(async {
        let mut file = File::options().append(true).read(true).open(&place.0).await.unwrap();
        let mut buf = [0; 3];
        file.read_exact(&mut buf).await.unwrap();
        file.write_all(b"one ").await.unwrap();
        assert_eq!(file.stream_position().await.unwrap(), 10);
        file.rewind().await.unwrap();
        file.write_all(b"two").await.unwrap();
        assert_eq!(file.read(&mut buf).await.unwrap(), 0);
        file.rewind().await.unwrap();
        let mut all = String::new();
        assert_eq!(file.read_to_string(&mut all).await.unwrap(), 13);
        assert_eq!(all, "begin one two");
    });
}

#[test]
fn options_open_as_the_standard_librarys_do() {
    let place = Place::new("options");
    run(async {
        assert_eq!(File::open(&place.0).await.unwrap_err().kind(), ErrorKind::NotFound);
        let kind = |options: &fs::OpenOptions| {
            let options = options.clone();
            let path = place.0.clone();
            async move { options.open(path).await.map(drop).map_err(|error| error.kind()) }
        };
        let invalid = Err(ErrorKind::InvalidInput);
        assert_eq!(kind(File::options().create(true)).await, invalid);
        assert_eq!(kind(File::options().read(true).truncate(true)).await, invalid);
        assert_eq!(kind(File::options().append(true).truncate(true)).await, invalid);
        assert_eq!(kind(&File::options()).await, invalid);
        assert_eq!(kind(File::options().write(true)).await, Err(ErrorKind::NotFound));
        assert_eq!(kind(File::options().write(true).create(true)).await, Ok(()));
        assert_eq!(kind(File::options().write(true).create_new(true)).await, Err(ErrorKind::AlreadyExists));
        assert_eq!(kind(File::options().append(true)).await, Ok(()));
        fs::write(&place.0, "x").await.unwrap();
        drop(File::create(&place.0).await.unwrap());
        assert_eq!(fs::read(&place.0).await.unwrap(), b"");
        assert_eq!(File::open("a\0b").await.unwrap_err().kind(), ErrorKind::InvalidInput);
        let mut written = File::create(&place.0).await.unwrap();
        assert!(written.read(&mut [0; 8]).await.is_err()); // not for reading
    });
    assert!(panic_of(|| poll_once(File::open(&place.0))).starts_with("File::open needs a runtime"));
}

#[test]
fn a_read_that_is_given_up_loses_no_byte_and_touches_no_memory() {
    let place = Place::new("given-up");
    std::fs::write(&place.0, vec![7; 100_000]).unwrap();
    run(async {
        let mut file = File::open(&place.0).await.unwrap();
        for _ in 0..100 {
            let mut buf = vec![1; 100_000];
            if poll_once(file.read(&mut buf)).is_pending() {
                assert!(buf.iter().all(|&byte| byte == 1));
            } else {
                file.rewind().await.unwrap();
            }
            drop(buf);
        }
        assert_eq!(file.stream_position().await.unwrap(), 0);
        let mut all = Vec::new();
        assert_eq!(file.read_to_end(&mut all).await.unwrap(), 100_000);
        assert!(all == vec![7; 100_000]);
    });
}

#[test]
fn tasks_append_whole_lines() {
    let place = Place::new("lines");
    run(async {
        let mut set = JoinSet::new();
        for i in 0..4u8 {
            let mut file = File::options().append(true).create(true).open(&place.0).await.unwrap();
            set.spawn(async move {
                for _ in 0..50 {
                    let line = [vec![b'a' + i; 1000], vec![b'\n']].concat();
                    assert_eq!(file.write(&line).await.unwrap(), line.len());
                }
            });
        }
        set.join_all().await;
        let text = fs::read_to_string(&place.0).await.unwrap();
        assert_eq!(text.lines().count(), 200);
        assert!(text.lines().all(|line| line.len() == 1000 && line.bytes().all(|byte| byte == line.as_bytes()[0])));
    });
}

#[test]
#[cfg(unix)]
fn a_file_of_the_standard_library_keeps_its_position_both_ways() {
    use std::io::{Read, Seek};
    let place = Place::new("std");
    std::fs::write(&place.0, "0123456789").unwrap();
    let mut theirs = std::fs::File::open(&place.0).unwrap();
    theirs.seek(SeekFrom::Start(2)).unwrap();
    let mut theirs = run(async {
        let mut ours = File::from_std(theirs).unwrap();
        let mut buf = [0; 3];
        ours.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"234");
        ours.into_std().unwrap()
    });
    let mut rest = String::new();
    theirs.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "56789");
    assert!(panic_of(|| File::from_std(theirs)).starts_with("File::from_std needs a runtime"));
}

#[test]
#[cfg(unix)]
fn a_pipe_is_a_file_without_a_position() {
    use std::io::Write;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    run(async {
        let (one, mut other) = UnixStream::pair().unwrap();
        let mut file = File::from_std(OwnedFd::from(one).into()).unwrap();
        assert_eq!(file.seek(SeekFrom::Start(0)).await.unwrap_err().kind(), ErrorKind::NotSeekable);
        assert!(timeout(MS, file.read(&mut [0; 8])).await.is_err());
        other.write_all(b"hello").unwrap();
        assert_eq!(file.read(&mut [0; 8]).await.unwrap(), 5);
        file.write_all(b"back").await.unwrap();
        drop(file);
        let mut text = String::new();
        std::io::Read::read_to_string(&mut other, &mut text).unwrap();
        assert_eq!(text, "back");
    });
}

#[test]
#[cfg(target_os = "linux")]
fn files_of_proc_and_fifos_are_read() {
    let place = Place::new("fifo");
    run(async {
        let status = fs::read_to_string("/proc/self/status").await.unwrap();
        assert!(status.contains("\nPid:\t"));
        assert!(fs::read("/dev/null").await.unwrap().is_empty());
        let made = std::process::Command::new("mkfifo").arg(&place.0).status();
        if !made.is_ok_and(|status| status.success()) {
            println!("skipped: no mkfifo");
            return;
        }
        let path = place.0.clone();
        let mut reader = File::open(&place.0).await.unwrap();
        let writer = spawn_blocking(move || std::fs::write(path, "through a fifo").unwrap());
        let mut text = String::new();
        reader.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "through a fifo");
        writer.await.unwrap();
        assert_eq!(File::open("/proc/self/").await.unwrap_err().kind(), ErrorKind::IsADirectory);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error_of_the_write() {
    run(async {
        let mut file = File::options().write(true).open("/dev/full").await.unwrap();
        assert_eq!(file.write_all(b"x").await.unwrap_err().kind(), ErrorKind::StorageFull);
    });
}

#[test]
fn a_file_that_outlives_its_runtime_gives_errors() {
    let place = Place::new("outlives");
    std::fs::write(&place.0, "x").unwrap();
    let mut file = run(async { File::open(&place.0).await.unwrap() });
    assert!(run(file.read(&mut [0; 8])).is_err());
}
