namespace ClusterLb.Dataplane.Maps;

/// <summary>Where <see cref="SharedLbMaps"/> takes its maps from.</summary>
internal interface IMapSource
{
    HashMap<TKey, TValue> Open<TKey, TValue>(string name, int capacity)
        where TKey : unmanaged
        where TValue : unmanaged;

    /// <summary>The Maglev tables; a reader takes their number and size as it finds them.</summary>
    HashMap<MaglevKey, NoValue> OpenMaglev(int tables, int slots);
}

/// <summary>Anonymous memory.</summary>
internal sealed class AnonymousMaps(Epochs epochs) : IMapSource
{
    public HashMap<TKey, TValue> Open<TKey, TValue>(string name, int capacity)
        where TKey : unmanaged
        where TValue : unmanaged => HashMap<TKey, TValue>.CreateAnonymous(name, capacity, epochs);

    public HashMap<MaglevKey, NoValue> OpenMaglev(int tables, int slots) =>
        HashMap<MaglevKey, NoValue>.CreateAnonymousWithTail(MaglevLayout.Spec(tables, slots), epochs);
}

/// <summary>Files, as their one writer.</summary>
internal sealed class WritableMaps(string directory, Epochs epochs, Action<MapFileReport> seen) : IMapSource
{
    public HashMap<TKey, TValue> Open<TKey, TValue>(string name, int capacity)
        where TKey : unmanaged
        where TValue : unmanaged
    {
        var map = HashMap<TKey, TValue>.OpenForWriting(
            directory, HashMap<TKey, TValue>.Spec(name, capacity), epochs, out MapFileReport report);
        seen(report);
        return map;
    }

    public HashMap<MaglevKey, NoValue> OpenMaglev(int tables, int slots)
    {
        var map = HashMap<MaglevKey, NoValue>.OpenForWritingWithTail(directory, MaglevLayout.Spec(tables, slots), epochs, out MapFileReport report);
        seen(report);
        return map;
    }
}

/// <summary>Files, as one of their readers.</summary>
internal sealed class ReadableMaps(string directory) : IMapSource
{
    public HashMap<TKey, TValue> Open<TKey, TValue>(string name, int capacity)
        where TKey : unmanaged
        where TValue : unmanaged => HashMap<TKey, TValue>.OpenForReading(directory, name);

    public HashMap<MaglevKey, NoValue> OpenMaglev(int tables, int slots) =>
        HashMap<MaglevKey, NoValue>.OpenForReadingWithTail(directory, MaglevLayout.AnySpec);
}

/// <summary>Descriptors that another process handed over.</summary>
internal sealed class ReceivedMaps(IReadOnlyDictionary<string, Microsoft.Win32.SafeHandles.SafeFileHandle> files) : IMapSource
{
    public HashMap<TKey, TValue> Open<TKey, TValue>(string name, int capacity)
        where TKey : unmanaged
        where TValue : unmanaged => HashMap<TKey, TValue>.FromDescriptor(files[name], name);

    public HashMap<MaglevKey, NoValue> OpenMaglev(int tables, int slots) =>
        HashMap<MaglevKey, NoValue>.FromDescriptorWithTail(files[MaglevLayout.FileName], MaglevLayout.AnySpec);
}
