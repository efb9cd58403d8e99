//! The moment between the birth of a child and its program.
#![expect(unsafe_code, reason = "the kernel's own interface is all there is for this")]

use std::{
    arch::asm,
    cell::RefCell,
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd as _, OwnedFd},
    ptr,
    sync::LazyLock,
};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::Image;

/// `struct clone_args` of `clone3(2)`, as large as the version that knows cgroups.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// What the child is given, in memory that it shares with us.
struct Errand<'a> {
    image: &'a Image,
    ignored: &'a [libc::c_int],
    /// The number of the error that kept it from its program; 0 for none.
    error: libc::c_int,
}

/// The child's stack: 32 KiB, aligned as the machine asks. It calls the kernel and nothing else.
type Stack = [u128; 2048];

/// The child lives in our memory, and we wait until it has left it (linux/sched.h).
const CLONE_VM_VFORK: u64 = 0x0000_0100 | 0x0000_4000;
/// The child begins in the cgroup of the descriptor (linux/sched.h).
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// The child's handlers are taken away as it begins, before one could run (linux/sched.h).
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;

/// The highest number of a signal (`SIGRTMAX`).
const SIGNALS: libc::c_int = 64;

/// The signals that this process ignores, which the kernel would have a program ignore too: the
/// standard library ignores one as it starts, and nobody changes that.
static IGNORED: LazyLock<Vec<libc::c_int>> = LazyLock::new(ignored);

thread_local! {
    /// One is enough: who bears a child waits until it has left.
    static STACK: RefCell<Box<MaybeUninit<Stack>>> = RefCell::new(Box::new_uninit());
}

/// Starts a child in a cgroup that is open. On an error nothing runs.
pub(super) fn start(cgroup: &OwnedFd, image: &Image) -> io::Result<Pid> {
    STACK.with_borrow_mut(|stack| start_on(stack, cgroup, image))
}

fn start_on(stack: &mut MaybeUninit<Stack>, cgroup: &OwnedFd, image: &Image) -> io::Result<Pid> {
    let mut errand = Errand { image, ignored: &IGNORED, error: 0 };
    let args = CloneArgs {
        flags: CLONE_VM_VFORK | CLONE_INTO_CGROUP | CLONE_CLEAR_SIGHAND,
        exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
        stack: stack.as_mut_ptr() as u64,
        stack_size: size_of::<Stack>() as u64,
        cgroup: u64::from(cgroup.as_raw_fd().cast_unsigned()),
        ..CloneArgs::default()
    };
    // What comes in between is the program's.
    let mask = block_all();
    // SAFETY: VFORK holds this thread until the child has left our memory, so that stack, errand
    // and image outlive its use of them; it changes nothing but the errand's error.
    let returned = unsafe { clone(&args, &raw mut errand) };
    restore(&mask);
    if returned < 0 {
        return Err(io::Error::from_raw_os_error(i32::try_from(-returned).unwrap_or(libc::EIO)));
    }
    let pid = i32::try_from(returned).ok().and_then(Pid::from_raw);
    let pid = pid.expect("the kernel's process ids are positive");
    match errand.error {
        0 => Ok(pid),
        error => {
            // It has left, and nobody shall find its zombie.
            _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
            Err(io::Error::from_raw_os_error(error))
        }
    }
}

/// Calls `clone3(2)`; the child begins with [`child`] on its own stack.
///
/// # Safety
///
/// The arguments ask for VM and VFORK and name a stack that nobody else uses.
unsafe fn clone(args: &CloneArgs, errand: *mut Errand<'_>) -> i64 {
    let returned: i64;
    // SAFETY: to us it is a system call, which changes the registers named and what the errand
    // points to. The child's new stack has no frame of Rust, and `child` does not return to it.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, {errand}",
            "call {child}",
            "ud2",
            "2:",
            errand = in(reg) errand,
            child = in(reg) child as extern "C" fn(*mut Errand<'_>) -> !,
            inlateout("rax") libc::SYS_clone3 => returned,
            in("rdi") ptr::from_ref(args),
            in("rsi") size_of::<CloneArgs>(),
            out("rcx") _,
            out("r11") _,
        );
    }
    returned
}

/// The child's own part: it ends with its program, or with an error in the errand.
///
/// Only calls of the kernel are allowed here: no allocation, no lock, no panic. What they do to
/// `errno` happens to the thread that waits.
extern "C" fn child(errand: *mut Errand<'_>) -> ! {
    // SAFETY: `start` keeps it alive, and looks at it only when we are gone.
    let Errand { image, ignored, error } = unsafe { &mut *errand };
    // SAFETY: these calls may be made after a `vfork`; all pointers are the image's, and end with
    // a null where a list or a string has to.
    unsafe {
        if become_ours(image, ignored) {
            let (program, args, env) = (&image.program, &image.args, &image.env);
            libc::execve(program.as_ptr(), args.pointers.as_ptr(), env.pointers.as_ptr());
        }
        *error = *libc::__errno_location();
        libc::_exit(127)
    }
}

/// Makes the process what a [`Spawn`](crate::Spawn) promises.
///
/// # Safety
///
/// Only in a child that has handlers, descriptors and a directory of its own.
unsafe fn become_ours(image: &Image, ignored: &[libc::c_int]) -> bool {
    // SAFETY: as above. The structures are the kernel's, for which zero is the default.
    unsafe {
        let defaults: libc::sigaction = MaybeUninit::zeroed().assume_init();
        for signal in ignored {
            libc::sigaction(*signal, &raw const defaults, ptr::null_mut());
        }
        let streams = image.streams.iter().zip(0..).all(|(from, to)| libc::dup2(*from, to) == to);
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        streams
            && libc::setpgid(0, 0) == 0
            && libc::chdir(image.cwd.as_ptr()) == 0
            && libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut()) == 0
    }
}

fn ignored() -> Vec<libc::c_int> {
    let is_ignored = |signal: &libc::c_int| {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: it fills the structure or fails, for the two that the C library keeps.
        unsafe {
            libc::sigaction(*signal, ptr::null(), action.as_mut_ptr()) == 0
                && action.assume_init().sa_sigaction == libc::SIG_IGN
        }
    };
    (1..=SIGNALS).filter(is_ignored).collect()
}

fn block_all() -> libc::sigset_t {
    let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: the first call fills `all`, the second `before`; neither fails with these arguments.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        before.assume_init()
    }
}

fn restore(mask: &libc::sigset_t) {
    // SAFETY: a mask that was filled.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, ptr::null_mut()) };
}
