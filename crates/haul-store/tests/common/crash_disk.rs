//! A disk in memory that can lose its power: what was not synced is then there in part, in any
//! part, or as garbage.

use super::Random;
use haul_store::disk::{Disk, DiskFile, Entry, Readers, Reserved};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice};
use std::rc::Rc;

/// A disk with one folder. Its clones are the same disk.
#[derive(Clone, Default)]
pub(crate) struct CrashDisk {
    state: Rc<RefCell<State>>,
}

/// An open file of a [`CrashDisk`].
pub(crate) struct CrashFile {
    state: Rc<RefCell<State>>,
    inode: usize,
    holds_lock: RefCell<bool>,
}

/// From which operation on the disk refuses, how, and whether more than once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) at: u64,
    pub(crate) errno: i32,
    pub(crate) lasts: bool,
}

impl CrashDisk {
    /// From the `at`th operation on, which may be half done, nothing works any more.
    pub(crate) fn cut_power_at(&self, at: u64) {
        self.fail(Fault { at, errno: EIO, lasts: true });
    }

    pub(crate) fn fail(&self, fault: Fault) {
        let mut state = self.state.borrow_mut();
        state.operations = 0;
        state.fault = Some(fault);
    }

    /// Takes the cause of the failures away; returns whether there was one.
    pub(crate) fn repair(&self) -> bool {
        let mut state = self.state.borrow_mut();
        let met = state.fault.take().is_some_and(|fault| state.operations >= fault.at);
        state.unreadable = None;
        met
    }

    /// Every read of the file with this name fails from now on.
    pub(crate) fn fail_reads_of(&self, name: &str) {
        let mut state = self.state.borrow_mut();
        state.unreadable = state.names.get(OsStr::new(name)).copied();
    }

    /// From now on files have holes, and the disk this much room.
    pub(crate) fn without_allocation(&self, free: u64) {
        let mut state = self.state.borrow_mut();
        (state.sparse, state.free) = (true, Some(free));
    }

    /// One of the disks that there may be after the power is back.
    pub(crate) fn after_crash(&self, random: &mut Random) -> Self {
        let old = self.state.borrow();
        let inodes: Vec<_> = old.inodes.iter().map(|inode| inode.after_crash(random)).collect();
        let mut names = old.durable_names.clone();
        for change in &old.unsynced_names {
            if random.once_in(2) {
                change.apply(&mut names);
            }
        }
        let durable_names = names.clone();
        let state = State { inodes, names, durable_names, sparse: old.sparse, ..State::default() };
        Self { state: Rc::new(RefCell::new(state)) }
    }

    /// How many bytes each write to the file with this name carried.
    pub(crate) fn writes_to(&self, name: &str) -> Vec<usize> {
        let state = self.state.borrow();
        let inode = state.names[OsStr::new(name)];
        let of_file = |&(to, len): &(usize, usize)| (to == inode).then_some(len);
        state.writes.iter().filter_map(of_file).collect()
    }

    /// What the file with this name holds.
    pub(crate) fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state.borrow();
        let &inode = state.names.get(OsStr::new(name))?;
        Some(state.inodes[inode].live.clone())
    }
}

#[derive(Default)]
struct State {
    names: BTreeMap<OsString, usize>,
    durable_names: BTreeMap<OsString, usize>,
    unsynced_names: Vec<NameChange>,
    inodes: Vec<Inode>,
    operations: u64,
    fault: Option<Fault>,
    unreadable: Option<usize>,
    /// To which file, and how many bytes.
    writes: Vec<(usize, usize)>,
    sparse: bool,
    free: Option<u64>,
}

#[derive(Clone)]
enum NameChange {
    Create(OsString, usize),
    Remove(OsString),
    Rename(OsString, OsString),
}

#[derive(Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    locked: bool,
}

enum Change {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

impl State {
    /// Counts an operation, and refuses it if that is what is to happen.
    fn operate(&mut self) -> io::Result<()> {
        self.operations += 1;
        match self.fault {
            Some(fault)
                if self.operations == fault.at || (fault.lasts && self.operations > fault.at) =>
            {
                Err(io::Error::from_raw_os_error(fault.errno))
            }
            _ => Ok(()),
        }
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<OsString, usize>) {
        match self {
            Self::Create(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
        }
    }
}

impl Inode {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.unsynced.push(change);
    }

    fn after_crash(&self, random: &mut Random) -> Self {
        let mut bytes = self.durable.clone();
        for change in &self.unsynced {
            change.apply_some(&mut bytes, random);
        }
        Self { live: bytes.clone(), durable: bytes, ..Self::default() }
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(at, new) => {
                bytes.resize(bytes.len().max(at + new.len()), 0);
                bytes[*at..at + new.len()].copy_from_slice(new);
            }
            Self::SetLen(len) => bytes.resize(*len, 0),
        }
    }

    /// All of it, nothing, the beginning, or any sectors; at times a sector of garbage.
    fn apply_some(&self, bytes: &mut Vec<u8>, random: &mut Random) {
        let Self::Write(at, new) = self else {
            if random.once_in(2) {
                self.apply(bytes);
            }
            return;
        };
        let how = random.below(4);
        if how == 0 {
            return;
        }
        let last = random.below(1 + new.len() as u64 / SECTOR as u64) as usize;
        bytes.resize(bytes.len().max(at + new.len()), 0);
        for (nth, sector) in new.chunks(SECTOR).enumerate() {
            let arrives = match how {
                1 => true,
                2 => nth < last,
                _ => random.once_in(2),
            };
            let place = &mut bytes[at + nth * SECTOR..][..sector.len()];
            if arrives {
                place.copy_from_slice(sector);
            } else if random.once_in(50) {
                place.fill(random.below(256) as u8);
            }
        }
    }
}

impl Disk for CrashDisk {
    type File = CrashFile;

    fn create(&self, name: &OsStr, _: Readers) -> io::Result<CrashFile> {
        let mut state = self.state.borrow_mut();
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.operate()?;
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.change_names(NameChange::Create(name.to_owned(), inode));
        Ok(CrashFile { state: self.state.clone(), inode, holds_lock: false.into() })
    }

    fn open(&self, name: &OsStr) -> io::Result<CrashFile> {
        let state = self.state.borrow();
        let &inode = state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(CrashFile { state: self.state.clone(), inode, holds_lock: false.into() })
    }

    fn look(&self, name: &OsStr) -> io::Result<Option<Entry>> {
        Ok(self.state.borrow().names.get(name).map(|_| Entry::Plain))
    }

    fn leads_to(&self, name: &OsStr, file: &CrashFile) -> io::Result<bool> {
        Ok(self.state.borrow().names.get(name) == Some(&file.inode))
    }

    fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        if self.look(to)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.rename_over(from, to)
    }

    fn rename_over(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        state.operate()?;
        state.change_names(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &OsStr) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        if state.names.contains_key(name) {
            state.operate()?;
            state.change_names(NameChange::Remove(name.to_owned()));
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        state.operate()?;
        state.durable_names = state.names.clone();
        state.unsynced_names.clear();
        Ok(())
    }

    fn free(&self) -> io::Result<u64> {
        Ok(self.state.borrow().free.unwrap_or(1 << 40))
    }
}

impl CrashFile {
    fn change(&self, change: Change) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        let allowed = state.operate();
        match (&allowed, change) {
            (Ok(()), change) => state.inodes[self.inode].change(change),
            // A write that fails may have been done in part.
            (Err(_), Change::Write(at, mut bytes)) => {
                bytes.truncate(bytes.len() / 2);
                state.inodes[self.inode].change(Change::Write(at, bytes));
            }
            (Err(_), Change::SetLen(_)) => {}
        }
        allowed
    }
}

impl DiskFile for CrashFile {
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let state = self.state.borrow();
        if state.unreadable == Some(self.inode) {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        let live = &state.inodes[self.inode].live;
        let rest = live.get(at as usize..).unwrap_or_default();
        let len = rest.len().min(into.len());
        into[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write_at(&self, at: u64, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        let parts: Vec<&[u8]> = parts.iter().map(|part| &part[..]).collect();
        let bytes = parts.concat();
        self.state.borrow_mut().writes.push((self.inode, bytes.len()));
        self.change(Change::Write(at as usize, bytes))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.state.borrow().inodes[self.inode].live.len() as u64)
    }

    fn allocated(&self) -> io::Result<u64> {
        if self.state.borrow().sparse { Ok(0) } else { self.len() }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::SetLen(len as usize))
    }

    fn reserve(&self, len: u64) -> io::Result<Reserved> {
        self.change(Change::SetLen(self.len()?.max(len) as usize))?;
        let sparse = self.state.borrow().sparse;
        Ok(if sparse { Reserved::Sparse } else { Reserved::Allocated })
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        let allowed = state.operate();
        let powerless = state.fault.is_some_and(|fault| fault.lasts);
        let inode = &mut state.inodes[self.inode];
        match allowed {
            Ok(()) => {
                for change in inode.unsynced.drain(..) {
                    change.apply(&mut inode.durable);
                }
            }
            // As Linux does it: what could not be written counts as clean from now on, and only
            // the memory has it.
            Err(_) if !powerless => inode.unsynced.clear(),
            Err(_) => {}
        }
        allowed
    }

    fn is_locked(&self) -> io::Result<bool> {
        Ok(self.state.borrow().inodes[self.inode].locked)
    }

    fn try_lock(&self) -> io::Result<bool> {
        let inode = &mut self.state.borrow_mut().inodes[self.inode];
        let free = !std::mem::replace(&mut inode.locked, true);
        *self.holds_lock.borrow_mut() |= free;
        Ok(free)
    }
}

impl Drop for CrashFile {
    fn drop(&mut self) {
        if *self.holds_lock.borrow() {
            self.state.borrow_mut().inodes[self.inode].locked = false;
        }
    }
}

pub(crate) const EIO: i32 = 5;
const SECTOR: usize = 512;
