using System.Runtime.InteropServices;
using ClusterLb.Dataplane.Tun;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Agent.DataplaneChild;

/// <summary>System calls on processes and leases that the runtime does not offer. Numbers are those of Linux on 64 bits.</summary>
internal static unsafe partial class ProcessInterop
{
    public const int SignalKill = 9;
    public const int SignalTerm = 15;

    private const int LockExclusive = 2;
    private const int LockNonBlocking = 4;
    private const int DuplicateCloseOnExec = 1030; // F_DUPFD_CLOEXEC
    private const int WaitForPidFd = 3; // P_PIDFD
    private const int WaitExited = 4;
    private const int WaitNoHang = 1;
    private const int CodeExited = 1; // CLD_EXITED

    private const int ReadWrite = 2;
    private const short SpawnSetSignalDefaults = 0x04;
    private const short SpawnSetSignalMask = 0x08;
    private const short SpawnSetSession = 0x80;

    // glibc: posix_spawnattr_t 336 bytes, posix_spawn_file_actions_t 80, sigset_t 128; musl's are not larger.
    private const int OpaqueBytes = 512;
    private const int SignalSetBytes = 128;

    // Above the numbers that the child sees, so that no dup2 of ours overwrites the source of the next.
    private const int FirstSafeFd = 64;

    /// <summary>Takes the lease of an open file; held by whoever has this open file, its duplicates and heirs included.</summary>
    /// <returns>0 or an errno; EAGAIN if somebody else holds it.</returns>
    public static int TryLock(SafeFileHandle file) =>
        flock(file, LockExclusive | LockNonBlocking) == 0 ? 0 : Marshal.GetLastPInvokeError();

    /// <summary>Opens or creates a file, without the lock that the runtime's own opening takes.</summary>
    public static SafeFileHandle OpenLockFile(string path, out int errno)
    {
        const int Create = 0x40, CloseOnExec = 0x80000, NoFollow = 0x20000;
        int fd = open(path, ReadWrite | Create | CloseOnExec | NoFollow, 0x180); // 0600
        errno = fd >= 0 ? 0 : Marshal.GetLastPInvokeError();
        return new SafeFileHandle(fd, ownsHandle: true);
    }

    /// <summary>True if the path still leads to this open file.</summary>
    public static bool IsFileAt(SafeFileHandle file, string path)
    {
        const int WorkingDirectory = -100, NoFollow = 0x100, EmptyPath = 0x1000;
        const uint Inode = 0x100; // STATX_INO
        using var current = new SafeFileHandle(WorkingDirectory, ownsHandle: false);
        return statx(file, "", EmptyPath, Inode, out FileStatus open) == 0
            && statx(current, path, NoFollow, Inode, out FileStatus found) == 0
            && (open.Inode, open.DeviceMajor, open.DeviceMinor) == (found.Inode, found.DeviceMajor, found.DeviceMinor);
    }

    /// <summary>Device and inode: the same for all descriptors of a file, and for no other file while one is open.</summary>
    public static string IdentityOf(SafeFileHandle file)
    {
        const int EmptyPath = 0x1000;
        const uint Inode = 0x100; // STATX_INO
        return statx(file, "", EmptyPath, Inode, out FileStatus open) == 0
            ? $"{open.DeviceMajor}:{open.DeviceMinor}:{open.Inode}"
            : throw new IOException($"Cannot look at a descriptor: {Errno.Name(Marshal.GetLastPInvokeError())}.");
    }

    /// <summary>True if both lead to the same open file, as a descriptor and its duplicate do; two openings of one file do not.</summary>
    /// <remarks>kcmp(2). A kernel without it, or who forbids it, cannot tell: false.</remarks>
    public static bool IsSameOpenFile(SafeFileHandle one, SafeFileHandle other)
    {
        const int WhatFile = 0; // KCMP_FILE
        int number = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 312 : 272; // asm/unistd_64.h, asm-generic/unistd.h
        int pid = Environment.ProcessId;
        return syscall(number, pid, pid, WhatFile, one.DangerousGetHandle(), other.DangerousGetHandle()) == 0;
    }

    /// <summary>Another descriptor of the same open file.</summary>
    public static SafeFileHandle Duplicate(SafeFileHandle handle)
    {
        int fd = fcntl(handle, DuplicateCloseOnExec, FirstSafeFd);
        return fd >= 0
            ? new SafeFileHandle(fd, ownsHandle: true)
            : throw new IOException($"Cannot duplicate a descriptor: {Errno.Name(Marshal.GetLastPInvokeError())}; is the limit of open files reached?");
    }

    /// <summary>Starts a program in a session of its own, its standard streams on /dev/null, with these descriptors from 3 on and no others.</summary>
    /// <returns>0 or an errno.</returns>
    public static int Spawn(
        IReadOnlyList<string> command, IReadOnlyList<string> environment, IReadOnlyList<SafeFileHandle> inherited, out int pid)
    {
        byte* attributes = stackalloc byte[OpaqueBytes];
        byte* actions = stackalloc byte[OpaqueBytes];
        byte* signals = stackalloc byte[SignalSetBytes];
        List<SafeFileHandle> sources = [.. inherited.Select(Duplicate)];
        byte** arguments = Strings(command);
        byte** variables = Strings(environment);
        posix_spawnattr_init(attributes);
        posix_spawn_file_actions_init(actions);
        try
        {
            int errno = 0;
            for (int fd = 0; fd <= 2; fd++)
            {
                errno |= posix_spawn_file_actions_addopen(actions, fd, "/dev/null", ReadWrite, 0);
            }

            for (int i = 0; i < sources.Count; i++)
            {
                errno |= posix_spawn_file_actions_adddup2(actions, (int)sources[i].DangerousGetHandle(), 3 + i);
            }

            errno |= posix_spawn_file_actions_addclosefrom_np(actions, 3 + sources.Count);

            // The runtime ignores SIGPIPE, and its threads may block signals; the child starts as from a shell.
            sigfillset(signals);
            posix_spawnattr_setsigdefault(attributes, signals);
            sigemptyset(signals);
            posix_spawnattr_setsigmask(attributes, signals);
            posix_spawnattr_setflags(attributes, SpawnSetSignalDefaults | SpawnSetSignalMask | SpawnSetSession);

            int started = 0;
            errno = errno != 0 ? errno : posix_spawnp(&started, command[0], actions, attributes, arguments, variables);
            pid = started;
            return errno;
        }
        finally
        {
            posix_spawn_file_actions_destroy(actions);
            posix_spawnattr_destroy(attributes);
            Free(arguments, command.Count);
            Free(variables, environment.Count);
            sources.ForEach(source => source.Dispose());
        }
    }

    /// <summary>A descriptor of a child that was not waited for yet, so its number cannot be another's.</summary>
    public static SafeFileHandle OpenPidFd(int pid)
    {
        int fd = pidfd_open(pid, 0);
        return fd >= 0
            ? new SafeFileHandle(fd, ownsHandle: true)
            : throw new IOException($"Cannot watch process {pid}: pidfd_open failed with {Errno.Name(Marshal.GetLastPInvokeError())}.");
    }

    public static void SendSignal(SafeFileHandle pidFd, int signal) => _ = pidfd_send_signal(pidFd, signal, 0, 0);

    /// <summary>True once the process has ended.</summary>
    /// <exception cref="ObjectDisposedException">The descriptor was closed; one that closes meanwhile stays open until we return.</exception>
    public static bool HasEnded(SafeFileHandle pidFd, int timeoutMs) => PollInterop.WaitReadable([pidFd], timeoutMs) != 0;

    /// <summary>Takes a child that has ended off the process table.</summary>
    /// <returns>How it ended, in words; null if it was not our child.</returns>
    public static string? Reap(SafeFileHandle pidFd)
    {
        int* info = stackalloc int[32]; // siginfo_t: 128 bytes; si_code is the third word, si_status the seventh
        new Span<int>(info, 32).Clear();
        if (waitid(WaitForPidFd, (int)pidFd.DangerousGetHandle(), info, WaitExited | WaitNoHang) != 0 || info[0] == 0)
        {
            return null;
        }

        return info[2] == CodeExited ? $"exit status {info[6]}" : $"signal {info[6]}";
    }

    public static uint EffectiveUser() => geteuid();

    private static byte** Strings(IReadOnlyList<string> texts)
    {
        var list = (byte**)NativeMemory.AllocZeroed((nuint)texts.Count + 1, (nuint)sizeof(byte*));
        for (int i = 0; i < texts.Count; i++)
        {
            list[i] = (byte*)Marshal.StringToCoTaskMemUTF8(texts[i]);
        }

        return list;
    }

    private static void Free(byte** texts, int count)
    {
        for (int i = 0; i < count; i++)
        {
            Marshal.FreeCoTaskMem((nint)texts[i]);
        }

        NativeMemory.Free(texts);
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int flock(SafeFileHandle fd, int operation);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, uint mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fcntl(SafeFileHandle fd, int command, int argument);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int pidfd_open(int pid, uint flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int pidfd_send_signal(SafeFileHandle pidFd, int signal, nint info, uint flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int waitid(int kind, int id, int* info, int options);

    [LibraryImport("libc")]
    private static partial uint geteuid();

    [LibraryImport("libc")]
    private static partial nint syscall(nint number, nint pid1, nint pid2, nint type, nint fd1, nint fd2);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int posix_spawnp(int* pid, string file, byte* actions, byte* attributes, byte** arguments, byte** environment);

    [LibraryImport("libc")]
    private static partial void posix_spawnattr_init(byte* attributes);

    [LibraryImport("libc")]
    private static partial void posix_spawnattr_destroy(byte* attributes);

    [LibraryImport("libc")]
    private static partial void posix_spawnattr_setflags(byte* attributes, short flags);

    [LibraryImport("libc")]
    private static partial void posix_spawnattr_setsigdefault(byte* attributes, byte* signals);

    [LibraryImport("libc")]
    private static partial void posix_spawnattr_setsigmask(byte* attributes, byte* signals);

    [LibraryImport("libc")]
    private static partial void sigfillset(byte* signals);

    [LibraryImport("libc")]
    private static partial void sigemptyset(byte* signals);

    [LibraryImport("libc")]
    private static partial void posix_spawn_file_actions_init(byte* actions);

    [LibraryImport("libc")]
    private static partial void posix_spawn_file_actions_destroy(byte* actions);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int posix_spawn_file_actions_addopen(byte* actions, int fd, string path, int flags, uint mode);

    [LibraryImport("libc")]
    private static partial int posix_spawn_file_actions_adddup2(byte* actions, int fd, int newFd);

    [LibraryImport("libc")]
    private static partial int posix_spawn_file_actions_addclosefrom_np(byte* actions, int from);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statx(SafeFileHandle directory, string path, int flags, uint mask, out FileStatus status);

    // struct statx, which is the same on every architecture, unlike struct stat.
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct FileStatus
    {
        [FieldOffset(32)]
        public ulong Inode;

        [FieldOffset(136)]
        public uint DeviceMajor;

        [FieldOffset(140)]
        public uint DeviceMinor;
    }
}
