using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Every system call on a map's file, and the one place where an address becomes a reference.</summary>
internal static partial class MapFileInterop
{
    private const int AccessDenied = 13; // EACCES
    private const int ReadOnlyFlag = 0;
    private const int ReadWriteFlag = 2;
    private const int CreateFlag = 0x40;
    private const int ExclusiveFlag = 0x80;
    private const int NoFollowFlag = 0x20000;
    private const int CloseOnExecFlag = 0x80000;
    private const int ProtectRead = 1;
    private const int ProtectWrite = 2;
    private const int MapShared = 1;
    private const uint MemfdCloseOnExec = 1;
    private const int AdviseNotNeeded = 4; // of a shared mapping: the data stays in the file
    private const int AdviseHugePage = 14;
    private const int AdvisePopulateRead = 22;
    private const long TmpfsMagic = 0x0102_1994;
    private const long RamfsMagic = unchecked((long)0x8584_58f6);

    /// <summary>Opens an existing file; never follows a symbolic link in its last component.</summary>
    public static SafeFileHandle Open(string path, bool writable) =>
        Opened(OpenFile(path, (writable ? ReadWriteFlag : ReadOnlyFlag) | NoFollowFlag | CloseOnExecFlag, 0), path);

    /// <summary>Creates a file that must not exist.</summary>
    public static SafeFileHandle Create(string path, UnixFileMode mode)
    {
        int flags = ReadWriteFlag | CreateFlag | ExclusiveFlag | NoFollowFlag | CloseOnExecFlag;
        SafeFileHandle handle = Opened(OpenFile(path, flags, (uint)mode), path);
        return ChangeMode(handle, (uint)mode) == 0 // the umask must not decide who may read
            ? handle
            : throw new MapFileException($"Cannot set the mode of '{path}': {Reason(Marshal.GetLastPInvokeError())}.");
    }

    /// <summary>Another open file of the same memory, with its own rights: a new open file description, not a dup.</summary>
    public static SafeFileHandle Reopen(SafeFileHandle handle, bool writable)
    {
        string path = $"/proc/self/fd/{handle.DangerousGetHandle()}";
        return Opened(OpenFile(path, (writable ? ReadWriteFlag : ReadOnlyFlag) | CloseOnExecFlag, 0), path);
    }

    /// <summary>Memory without a name in any directory, behind a descriptor.</summary>
    public static SafeFileHandle CreateAnonymous(string name) => Opened(CreateMemfd(name, MemfdCloseOnExec), name);

    /// <summary>Gives the file its length and, unless it is anonymous, all its space now: a full file system must show here,
    /// not as SIGBUS in the middle of a store.</summary>
    public static void Allocate(SafeFileHandle handle, long length, string path)
    {
        int errno = AllocateFile(handle, 0, length);
        if (errno != 0)
        {
            throw new MapFileException($"Cannot allocate {length} bytes for '{path}': {Reason(errno)}. " +
                "Free space there, or lower the capacities of the maps.");
        }
    }

    /// <summary>Maps the whole file, shared.</summary>
    public static nint Map(SafeFileHandle handle, long length, bool writable, string path)
    {
        nint address = MapMemory(0, (nuint)length, ProtectRead | (writable ? ProtectWrite : 0), MapShared, handle, 0);
        if (address == -1)
        {
            throw new MapFileException($"Cannot map '{path}' ({length} bytes): {Reason(Marshal.GetLastPInvokeError())}.");
        }

        return address;
    }

    /// <summary>Asks for huge pages: fewer TLB misses where tmpfs grants them. Advice: a kernel that does not know it is as correct.</summary>
    public static void PreferHugePages(nint address, long length) => _ = AdviseMemory(address, (nuint)length, AdviseHugePage);

    /// <summary>Has the kernel clear all pages of a new file now. Without it the first touch of each page does, one fault per 4 KB;
    /// pages that are clear come back 16 at a time. Advice, as above.</summary>
    public static void ClearPages(nint address, long length) => _ = AdviseMemory(address, (nuint)length, AdvisePopulateRead);

    /// <summary>Gives the page tables back, not the memory: what is touched again is mapped again, 64 KB for each fault. So a process
    /// that has looked through a whole file is not charged for the parts of it that nobody uses.</summary>
    public static void ForgetPages(nint address, long length) => _ = AdviseMemory(address, (nuint)length, AdviseNotNeeded);

    /// <summary>Undoes <see cref="Map"/>.</summary>
    public static void Unmap(nint address, long length) => _ = UnmapMemory(address, (nuint)length);

    /// <summary>True if the file's pages are memory and never written back to a disk.</summary>
    public static bool IsInMemory(SafeFileHandle handle)
    {
        Span<long> statfs = stackalloc long[32]; // struct statfs is 120 bytes on 64-bit Linux, f_type first
        return FileSystemOf(handle, ref MemoryMarshal.GetReference(statfs)) == 0 && statfs[0] is TmpfsMagic or RamfsMagic;
    }

    /// <summary>The byte at an address inside of a mapping. The caller has checked the bounds.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe ref byte Reference(nint address) => ref *(byte*)address;

    /// <summary>Asks for the cache line of an address without waiting for it, where the processor can. An address outside of the
    /// mapping does no harm.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe void Prefetch(nint address)
    {
        if (Sse.IsSupported)
        {
            Sse.Prefetch0((void*)address);
        }
    }

    private static SafeFileHandle Opened(SafeFileHandle handle, string path)
    {
        if (!handle.IsInvalid)
        {
            return handle;
        }

        int errno = Marshal.GetLastPInvokeError();
        handle.Dispose();
        throw errno == 2
            ? new FileNotFoundException($"'{path}' does not exist.", path)
            : new MapFileException($"Cannot open '{path}': {Reason(errno)}.") { IsAccessDenied = errno == AccessDenied };
    }

    private static string Reason(int errno) => $"{Marshal.GetPInvokeErrorMessage(errno)} (errno {errno})";

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle OpenFile(string path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "fchmod", SetLastError = true)]
    private static partial int ChangeMode(SafeFileHandle fd, uint mode);

    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle CreateMemfd(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "posix_fallocate")]
    private static partial int AllocateFile(SafeFileHandle fd, long offset, long length);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint MapMemory(nint address, nuint length, int protection, int flags, SafeFileHandle fd, long offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int UnmapMemory(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    private static partial int AdviseMemory(nint address, nuint length, int advice);

    [LibraryImport("libc", EntryPoint = "fstatfs", SetLastError = true)]
    private static partial int FileSystemOf(SafeFileHandle fd, ref long statfs);
}
