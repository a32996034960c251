"""Faults out of the shim, signals, limits and other writers, one case after the other. Each
function yields (what was done, what went wrong or None)."""

import errno
import os
import pathlib
import random
import resource
import signal
import subprocess
import tempfile
import time

import subject
from subject import CASES, Subject

ERRORS = {
    "open": "EACCES EMFILE ENFILE ENOENT ENOMEM EIO", "openat": "EACCES EMFILE ENFILE EIO",
    "mkostemp": "EACCES EMFILE ENOSPC EROFS", "read": "EIO", "pread": "EIO",
    "write": "ENOSPC EIO EDQUOT EFBIG", "pwrite": "ENOSPC EIO EDQUOT EFBIG",
    "fsync": "EIO ENOSPC EDQUOT", "ftruncate": "EIO ENOSPC EFBIG", "rename": "EACCES ENOSPC EIO",
    "flock": "ENOLCK EWOULDBLOCK", "mmap": "ENOMEM ENODEV EAGAIN", "fstat": "EIO ENOMEM",
    "stat": "EACCES ENOMEM", "lstat": "EACCES", "copy_file_range": "EXDEV ENOSYS EIO ENOSPC",
    "posix_fallocate": "ENOSPC EIO", "fcntl": "EMFILE EINVAL", "dup": "EMFILE",
    "lseek": "EINVAL", "fchmod": "EPERM EIO", "madvise": "EINVAL ENOMEM", "unlink": "EACCES",
    "unlinkat": "EACCES", "pthread_create": "EAGAIN", "fstatat": "EACCES", "realpath": "EACCES",
    "mkdir": "EACCES",
}
# What can't be helped if a call fails: a file that is no longer needed stays behind, or a
# report can't be renamed when the output has its name already.
LEAVES = {"unlink": ["old"], "unlinkat": ["old"], "fstatat": ["old"], "openat": ["old"],
          "open": ["old"], "stat": ["old"], "flock": ["old"], "fstat": ["old"],
          "rename": ["reports"]}
USER = 54321  # has no processes
ALLOCATIONS = ["malloc", "calloc", "realloc"]
INTERRUPTED = ["open", "openat", "mkostemp", "read", "pread", "write", "pwrite", "fsync",
               "ftruncate", "flock", "posix_fallocate", "fchmod", "copy_file_range"]


def counts(target):
    """How often the case calls each function: {name: count}."""
    reader, writer = os.pipe()
    target.run({"ATTACK_COUNTS": str(writer)}, clean=True, pass_fds=[writer])
    os.close(writer)
    with os.fdopen(reader) as lines:
        return {name: int(count) for name, count in map(str.split, lines)}


def shuffled(items, seed):
    items = list(items)
    random.Random(seed).shuffle(items)
    return items


class Faults:
    """All attacks, on subjects that are made once."""

    def __init__(self, program, shim, base, seed):
        self.program, self.shim, self.base, self.seed = program, shim, base, seed
        self.subjects = {}

    def subject(self, case, threads=1, base=None):
        key = (case.name, threads, base)
        if key not in self.subjects:
            self.subjects[key] = Subject(self.program, case, base or self.base, self.shim,
                                         threads)
        return self.subjects[key]

    def close(self):
        for made in self.subjects.values():
            made.close()

    def _try(self, target, attack, killed=False, leaves=()):
        what = f"{target.case.name} {attack}"
        try:
            done = target.run(attack, clean=True)
        except subprocess.TimeoutExpired:
            return what, "does not end"
        message = done.stderr.decode(errors="replace")
        is_killed = killed and done.returncode == -signal.SIGKILL
        return what, target.judge(done.returncode, message, is_killed, leaves)

    def _each(self, names, cases, hows, threads=(1,)):
        """Every combination, in random order: (subject, name, number of the call, how)."""
        all_of_them = []
        for case in cases:
            for count in threads:
                target = self.subject(case, count)
                known = counts(target)
                all_of_them += [(target, name, n + 1, how) for name in names
                                for n in range(known[name]) for how in hows(name)]
        return shuffled(all_of_them, self.seed)

    def allocations(self):
        """Each allocation fails, with one thread and with two."""
        for target, name, n, on in self._each(ALLOCATIONS, CASES, lambda _: "01", (1, 2)):
            yield self._try(target, {"ATTACK_CALL": name, "ATTACK_AT": str(n), "ATTACK_ON": on,
                                     "ATTACK_HOW": f"fail:{errno.ENOMEM}"}, leaves=["old"])

    def calls(self):
        """Each call fails with each error, once or from then on."""
        def hows(name):
            return [(code, on) for code in ERRORS[name].split() for on in "01"]

        for target, name, n, (code, on) in self._each(ERRORS, CASES, hows, (1, 2)):
            what, wrong = self._try(
                target, {"ATTACK_CALL": name, "ATTACK_AT": str(n), "ATTACK_ON": on,
                         "ATTACK_HOW": f"fail:{getattr(errno, code)}"},
                leaves=LEAVES.get(name, ()))
            if wrong and code in ("EMFILE", "ENFILE") and "out of memory" in wrong:
                wrong = f"{code} is called out of memory"
            yield f"{what} {code}", wrong

    def interruptions(self):
        """Every second call is interrupted, or transfers only a part: nothing must be seen."""
        hows = [(name, f"fail:{errno.EINTR}") for name in INTERRUPTED]
        hows += [(name, "short") for name in ("read", "pread", "write", "pwrite",
                                              "copy_file_range")]
        for case in shuffled(CASES, self.seed):
            for name, how in hows:
                target = self.subject(case, 2)
                attack = {"ATTACK_CALL": name, "ATTACK_AT": "0", "ATTACK_HOW": how}
                what = f"{case.name} {attack}"
                done = target.run(attack, clean=True)
                wrong = target.judge(done.returncode, done.stderr.decode())
                if done.returncode != 0:
                    wrong = f"an interruption is an error: {done.stderr.decode()}"
                yield what, wrong

    def _signals(self, number, base):
        for case in shuffled(CASES, self.seed):
            target = self.subject(case, 2, base)
            for n in shuffled(range(1, counts(target)["any"] + 1), self.seed):
                yield self._try(target, {"ATTACK_CALL": "any", "ATTACK_AT": str(n),
                                         "ATTACK_HOW": f"signal:{number}"}, killed=True)

    def kills(self):
        """SIGKILL before each system call, on a disk."""
        yield from self._signals(signal.SIGKILL, None)

    def kills_in_memory(self):
        if os.access(subject.SHARED_MEMORY, os.W_OK):
            yield from self._signals(signal.SIGKILL, subject.SHARED_MEMORY)

    def stops(self):
        """SIGTERM before each system call."""
        yield from self._signals(signal.SIGTERM, None)

    def truncations(self):
        """The model becomes shorter before each system call."""
        for case in [CASES[0], CASES[4], CASES[5]]:
            target = self.subject(case, 2)
            for n in shuffled(range(1, counts(target)["any"] + 1), self.seed):
                attack = {"ATTACK_CALL": "any", "ATTACK_AT": str(n),
                          "ATTACK_HOW": f"truncate:{target.folder / 'm.onnx'}"}
                done = target.run(attack, clean=True)
                (target.folder / "m.onnx").write_bytes(target.inputs["m.onnx"])
                yield f"{case.name} {attack}", target.judge(
                    done.returncode, done.stderr.decode(errors="replace"))

    def disks(self):
        """A disk that keeps other bytes: --verify finds them, and nothing is replaced."""
        target = self.subject(CASES[4], 2)
        for n in range(1, counts(target)["pwrite"] + 1):
            attack = {"ATTACK_CALL": "pwrite", "ATTACK_AT": str(n), "ATTACK_HOW": "corrupt"}
            done = target.run(attack, clean=True)
            wrong = target.judge(done.returncode, done.stderr.decode(errors="replace"))
            yield f"{attack}", wrong

    def full(self):
        """A file system with too little room, of every size. Only root can mount one."""
        place = pathlib.Path(self.base) / "full"
        place.mkdir(exist_ok=True)
        tries = [(case, size) for case in CASES for size in range(100, 500, 12)]
        for case, size in shuffled(tries, self.seed):
            target = self.subject(case, 2)
            words = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "nibble", str(place)]
            if subprocess.run(words, capture_output=True).returncode != 0:
                return
            usual, target.folder = target.folder, place
            try:
                done = target.run(clean=True)
                wrong = target.judge(done.returncode, done.stderr.decode(errors="replace"))
                yield f"{case.name} {size} kB", wrong
            except OSError:
                pass  # not even the inputs have room
            finally:
                target.folder = usual
                subprocess.run(["umount", "-l", str(place)], check=True)

    def limits(self):
        """Little of everything that a process may have."""
        kinds = {"NOFILE": range(3, 20), "FSIZE": range(0, 60000, 1500),
                 "AS": range(4 << 20, 80 << 20, 3 << 20),
                 "STACK": range(64 << 10, 512 << 10, 32 << 10)}
        tries = [(case, name, value) for case in CASES for name, values in kinds.items()
                 for value in values]
        for case, name, value in shuffled(tries, self.seed):
            target = self.subject(case, 2)
            kind = getattr(resource, f"RLIMIT_{name}")

            def before(kind=kind, value=value):
                resource.setrlimit(kind, (value, value))

            done = target.run(before=before, clean=True)
            message = done.stderr.decode(errors="replace")
            if done.returncode == 127 or "shared librar" in message:
                continue  # the program was not even loaded
            if done.returncode == -signal.SIGSEGV and name in ("AS", "STACK"):
                if value < (128 << 10 if name == "STACK" else 16 << 20):
                    continue  # the loader itself
            wrong = target.judge(done.returncode, message, leaves=["old"])
            if name == "NOFILE" and "out of memory" in message:
                wrong = f"no descriptors are called out of memory: {message}"
            yield f"{case.name} {name}={value}", wrong

    def threads(self):
        """A user who may have few processes: nibble does with fewer threads. Root has no such
        limit, so root becomes another user."""
        root = os.geteuid() == 0
        for case, most in shuffled([(case, n) for case in CASES for n in range(1, 6)],
                                   self.seed):
            target = self.subject(case, 4, pathlib.Path(tempfile.gettempdir()))
            target.reset()

            def before(most=most):
                resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
                if root:
                    os.setgid(USER)
                    os.setuid(USER)

            for path in [target.folder, *target.folder.iterdir()] if root else []:
                os.chown(path, USER, USER)
            try:
                done = target.run(before=before)
            except PermissionError:
                return  # that user may not run the program
            message = done.stderr.decode(errors="replace")
            wrong = target.judge(done.returncode, message)
            if done.returncode != 0:
                wrong = f"few threads are an error: {message}"
            yield f"{case.name} NPROC={most}", wrong

    def races(self):
        """Two runs with different options and one output: one pair or the other."""
        rng = random.Random(self.seed)
        for _ in range(10**6):
            target = self.subject(CASES[4], 1)
            others = [[*target.words, "--type", "int8"], target.words]
            target.reset()
            pairs = []
            for words in others:  # what each writes alone
                subprocess.run(words, cwd=target.folder, check=True, capture_output=True)
                pairs.append(subject.snapshot(target.folder))
                target.reset()
            running = []
            for words in others:
                running.append(subprocess.Popen(words, cwd=target.folder,
                                                stdout=subprocess.DEVNULL,
                                                stderr=subprocess.PIPE))
                time.sleep(rng.random() * 0.004)
            texts = [process.communicate()[1] for process in running]
            found = subject.snapshot(target.folder)
            failed = [text for process, text in zip(running, texts, strict=True)
                      if process.returncode]
            wrong = f"a writer failed: {failed}" if failed else None
            if not wrong and found not in pairs:
                wrong = f"the folder has {sorted(found)}"
            yield "two writers", wrong
