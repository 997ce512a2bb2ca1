using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Where <see cref="SharedLbMaps"/> takes its maps from.</summary>
/// <remarks>One class that asks what it is, not one for each kind: a generic method that is virtual cannot be compiled ahead, and
/// there were hundreds of methods to compile at every start.</remarks>
internal sealed class MapSource
{
    private readonly Kind _kind;
    private readonly string _directory = "";
    private readonly Epochs _epochs = Epochs.None;
    private readonly Action<MapFileReport> _seen = _ => { };
    private readonly IReadOnlyDictionary<string, SafeFileHandle> _files = new Dictionary<string, SafeFileHandle>();

    private MapSource(Kind kind) => _kind = kind;

    private MapSource(string directory, Epochs epochs, Action<MapFileReport> seen)
        : this(Kind.Writable) => (_directory, _epochs, _seen) = (directory, epochs, seen);

    private MapSource(string directory)
        : this(Kind.Readable) => _directory = directory;

    private MapSource(IReadOnlyDictionary<string, SafeFileHandle> files)
        : this(Kind.Received) => _files = files;

    private enum Kind
    {
        Anonymous,
        Writable,
        Readable,
        Received,
    }

    /// <summary>Anonymous memory.</summary>
    public static MapSource Anonymous() => new(Kind.Anonymous);

    /// <summary>Files, as their one writer.</summary>
    public static MapSource ForWriting(string directory, Epochs epochs, Action<MapFileReport> seen) => new(directory, epochs, seen);

    /// <summary>Files, as one of their readers.</summary>
    public static MapSource ForReading(string directory) => new(directory);

    /// <summary>Descriptors that another process handed over, by file name.</summary>
    public static MapSource Received(IReadOnlyDictionary<string, SafeFileHandle> files) => new(files);

    public HashMap<TKey, TValue> Open<TKey, TValue>(string name, int capacity)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        switch (_kind)
        {
            case Kind.Writable:
                var map = HashMap<TKey, TValue>.OpenForWriting(
                    _directory, HashMap<TKey, TValue>.Spec(name, capacity), _epochs, out MapFileReport report);
                _seen(report);
                return map;
            case Kind.Readable:
                return HashMap<TKey, TValue>.OpenForReading(_directory, name);
            case Kind.Received:
                return HashMap<TKey, TValue>.FromDescriptor(_files[name], name);
            default:
                return HashMap<TKey, TValue>.CreateAnonymous(name, capacity, _epochs);
        }
    }

    /// <summary>The Maglev tables; a reader takes their number and size as it finds them.</summary>
    public HashMap<MaglevKey, NoValue> OpenMaglev(int tables, int slots)
    {
        switch (_kind)
        {
            case Kind.Writable:
                var map = HashMap<MaglevKey, NoValue>.OpenForWritingWithTail(_directory, MaglevLayout.Spec(tables, slots), _epochs, out MapFileReport report);
                _seen(report);
                return map;
            case Kind.Readable:
                return HashMap<MaglevKey, NoValue>.OpenForReadingWithTail(_directory, MaglevLayout.AnySpec);
            case Kind.Received:
                return HashMap<MaglevKey, NoValue>.FromDescriptorWithTail(_files[MaglevLayout.FileName], MaglevLayout.AnySpec);
            default:
                return HashMap<MaglevKey, NoValue>.CreateAnonymousWithTail(MaglevLayout.Spec(tables, slots), _epochs);
        }
    }
}
