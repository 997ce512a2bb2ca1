namespace ClusterLb.Dataplane.Maps;

/// <summary>Where <see cref="SharedLbMaps"/> takes its maps from.</summary>
internal interface IMapSource
{
    HashMap<TKey, TValue> Open<TKey, TValue>(string name, int capacity)
        where TKey : unmanaged
        where TValue : unmanaged;
}

/// <summary>Anonymous memory.</summary>
internal sealed class AnonymousMaps(Epochs epochs) : IMapSource
{
    public HashMap<TKey, TValue> Open<TKey, TValue>(string name, int capacity)
        where TKey : unmanaged
        where TValue : unmanaged => HashMap<TKey, TValue>.CreateAnonymous(name, capacity, epochs);
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
}

/// <summary>Files, as one of their readers.</summary>
internal sealed class ReadableMaps(string directory) : IMapSource
{
    public HashMap<TKey, TValue> Open<TKey, TValue>(string name, int capacity)
        where TKey : unmanaged
        where TValue : unmanaged => HashMap<TKey, TValue>.OpenForReading(directory, name);
}

/// <summary>Descriptors that another process handed over.</summary>
internal sealed class ReceivedMaps(IReadOnlyDictionary<string, Microsoft.Win32.SafeHandles.SafeFileHandle> files) : IMapSource
{
    public HashMap<TKey, TValue> Open<TKey, TValue>(string name, int capacity)
        where TKey : unmanaged
        where TValue : unmanaged => HashMap<TKey, TValue>.FromDescriptor(files[name], name);
}
