using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Maps;

/// <summary>A mapped file of shared memory: header, index, places (docs/maps.md). It knows nothing of entries.</summary>
/// <remarks>The memory is valid until <see cref="Dispose"/>; who disposes must know that nobody reads any more.</remarks>
public sealed partial class MapFile : IDisposable
{
    private readonly nint _address;
    private bool _disposed;

    private MapFile(SafeFileHandle handle, MapFileSpec spec, string path, bool writable)
    {
        Handle = handle;
        Spec = spec;
        Path = path;
        IsWritable = writable;
        _address = MapFileInterop.Map(handle, spec.Length, writable, path);
    }

    /// <summary>What the file holds, as its header tells.</summary>
    public MapFileSpec Spec { get; }

    /// <summary>The file's path; for anonymous memory a name in angle brackets.</summary>
    public string Path { get; }

    /// <summary>False for a reader, whose mapping the kernel protects.</summary>
    public bool IsWritable { get; }

    /// <summary>The open file: for handing on, and for reading by pread.</summary>
    public SafeFileHandle Handle { get; }

    /// <summary>First half of the hash seed, random per file.</summary>
    public ulong Seed0 => Header.Seed0;

    /// <summary>Second half of the hash seed.</summary>
    public ulong Seed1 => Header.Seed1;

    /// <summary>True once another file has taken over: open it by name again.</summary>
    public bool IsRetired => Volatile.Read(ref Header.State) != MapHeader.Live;

    /// <summary>Entries in use, as the writer counted them: for people, the index is the truth.</summary>
    public ulong Count
    {
        get => Volatile.Read(ref Header.Count);
        internal set => Volatile.Write(ref Header.Count, value);
    }

    internal ref MapHeader Header => ref Unsafe.As<byte, MapHeader>(ref MapFileInterop.Reference(_address));

    /// <summary>Memory that only this process and those it hands the descriptor to can see.</summary>
    public static MapFile CreateAnonymous(MapFileSpec spec)
    {
        SafeFileHandle handle = MapFileInterop.CreateAnonymous(spec.Name);
        RandomAccess.SetLength(handle, spec.Length); // pages come as they are touched; RAM that is missing would kill us anyway
        return Initialize(handle, spec, $"<{spec.Name}>", NodeIdentity.Current);
    }

    /// <summary>Maps an existing file read-only. Its capacity may be any, its layout must be that of <paramref name="expected"/>.</summary>
    /// <exception cref="MapFileException">The file cannot be read or is not such a file.</exception>
    /// <exception cref="FileNotFoundException">There is none.</exception>
    public static MapFile OpenForReading(string directory, MapFileSpec expected)
    {
        string path = System.IO.Path.Combine(directory, expected.Name);
        return Open(MapFileInterop.Open(path, writable: false), path, expected, writable: false);
    }

    /// <summary>Maps a file that came as a descriptor, which the new object owns from now on.</summary>
    /// <exception cref="MapFileException">The file is not one of <paramref name="expected"/>'s layout.</exception>
    public static MapFile FromDescriptor(SafeFileHandle handle, MapFileSpec expected, bool writable)
    {
        MapFile file = Open(handle, $"<descriptor of {expected.Name}>", expected, writable);
        MapFileInterop.PreferHugePages(file._address, file.Spec.Length);
        return file;
    }

    /// <summary>To be called after the whole file was looked through: from here on only what is touched again counts as this process's
    /// resident memory. Changes no byte.</summary>
    public void ForgetPages() => MapFileInterop.ForgetPages(_address, Spec.Length);

    /// <summary>What a file holds that is read by pread and never mapped: its writer is not trusted not to truncate it.</summary>
    /// <param name="handle">Open for reading.</param>
    /// <param name="path">For the message.</param>
    /// <param name="expected">Its sizes may be any, its layout must be this one.</param>
    /// <exception cref="MapFileException">The file is not one of that layout.</exception>
    public static MapFileSpec ReadSpec(SafeFileHandle handle, string path, MapFileSpec expected) => ReadHeader(handle, path, expected).ToSpec();

    /// <summary>How full such a file is, as its writer counted.</summary>
    /// <inheritdoc cref="ReadSpec"/>
    public static MapFill ReadFill(SafeFileHandle handle, string path, MapFileSpec expected)
    {
        MapHeader header = ReadHeader(handle, path, expected);
        return new MapFill(expected.Name, (int)header.Count, (int)header.Capacity);
    }

    /// <summary>A number that this file never hands out again, from 1: ids come from here. Thread-safe.</summary>
    /// <remarks>A writer that is killed right after loses the number, never repeats it.</remarks>
    /// <param name="above">The number is higher than this one.</param>
    public ulong TakeNumber(ulong above = 0)
    {
        ref ulong last = ref Header.LastNumber;
        while (true)
        {
            ulong seen = Volatile.Read(ref last);
            ulong number = Math.Max(seen, above) + 1;
            if (Interlocked.CompareExchange(ref last, number, seen) == seen)
            {
                return number;
            }
        }
    }

    /// <summary>One of the words in the header that the kind of map may use, 0 to 7.</summary>
    public ref ulong Word(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, MapHeader.WordCount);
        return ref Header.Words[index];
    }

    /// <summary>The byte at an offset from the start of the file.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Outside of the file.</exception>
    public ref byte At(long offset)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(offset, Spec.Length);
        return ref MapFileInterop.Reference(_address + (nint)offset);
    }

    /// <summary>The address of an offset, for code that has checked its bounds once and for all.</summary>
    internal nint AddressOf(long offset) => _address + (nint)offset;

    /// <summary>A new open file of the same memory, to be handed to another process.</summary>
    public SafeFileHandle OpenDescriptor(bool readOnly) => MapFileInterop.Reopen(Handle, !readOnly);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            MapFileInterop.Unmap(_address, Spec.Length);
            Handle.Dispose();
        }
    }

    /// <summary>Why the file behind a descriptor is none of ours; null and its spec if it is.</summary>
    private static string? Problem(SafeFileHandle handle, string name, out MapHeader header)
    {
        header = default;
        long length = RandomAccess.GetLength(handle);
        Span<byte> bytes = MemoryMarshal.AsBytes(new Span<MapHeader>(ref header));
        if (length < MapHeader.Size || RandomAccess.Read(handle, bytes, 0) != MapHeader.Size)
        {
            return $"it has {length} bytes, less than a header";
        }

        if (header.Magic != MapHeader.MagicNumber)
        {
            return "it is not a ClusterLb map";
        }

        if (header.Checksum != MapHeader.ChecksumOf(in header))
        {
            return "its header is damaged";
        }

        if (header.Version != MapHeader.CurrentVersion)
        {
            return $"its header has version {header.Version}, and only {MapHeader.CurrentVersion} is known";
        }

        MapFileSpec spec = header.ToSpec();
        if (spec.Name != name)
        {
            return $"it is the map '{spec.Name}'";
        }

        return spec.Problem() ?? (spec.Length == length && header.Length == (ulong)length
            ? null
            : $"it has {length} bytes where its header says {spec.Length}");
    }

    private static MapHeader ReadHeader(SafeFileHandle handle, string path, MapFileSpec expected)
    {
        string? problem = Problem(handle, expected.Name, out MapHeader header);
        return problem is null && header.ToSpec().HasLayoutOf(expected)
            ? header
            : throw new MapFileException($"Cannot read '{path}': {problem ?? $"its layout {header.LayoutVersion} is not known"}.");
    }

    private static MapFile Open(SafeFileHandle handle, string path, MapFileSpec expected, bool writable)
    {
        string? problem = Problem(handle, expected.Name, out MapHeader header);
        if (problem is null && !header.ToSpec().HasLayoutOf(expected))
        {
            problem = $"it has layout {header.LayoutVersion}, and this program reads layout {expected.LayoutVersion}";
        }

        if (problem is not null)
        {
            handle.Dispose();
            throw new MapFileException($"Cannot use '{path}': {problem}. The agent sets it right when it starts.");
        }

        return new MapFile(handle, header.ToSpec() with { Mode = expected.Mode }, path, writable);
    }

    private static MapFile Initialize(SafeFileHandle handle, MapFileSpec spec, string path, NodeIdentity node)
    {
        if (spec.Problem() is { } problem)
        {
            throw new ArgumentException($"A map '{spec.Name}' cannot be made: {problem}.", nameof(spec));
        }

        Span<byte> random = stackalloc byte[16];
        RandomNumberGenerator.Fill(random);
        var file = new MapFile(handle, spec, path, writable: true);
        file.Header = MapHeader.For(spec, node, BitConverter.ToUInt64(random), BitConverter.ToUInt64(random[8..]));
        return file;
    }
}
