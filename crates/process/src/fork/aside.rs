//! Forks that leave the processors to others while they wait, see `sched(7)`.

use rustix::process::Pid;

/// Has a process that has stepped aside take its turn again, as we do. Nothing is lost by one that
/// stays there but time.
#[expect(unsafe_code, reason = "nothing safe makes these calls")]
pub(super) fn call_back(pid: Pid) {
    let (pid, param) = (pid.as_raw_pid(), libc::sched_param { sched_priority: 0 });
    // SAFETY: these read numbers, and a structure that outlives the call.
    unsafe {
        let is_aside = libc::sched_getscheduler(pid) == libc::SCHED_IDLE;
        if is_aside && libc::sched_getscheduler(0) == libc::SCHED_OTHER {
            libc::sched_setscheduler(pid, libc::SCHED_OTHER, &raw const param);
        }
    }
}
