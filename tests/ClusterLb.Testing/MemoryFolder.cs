namespace ClusterLb.Testing;

/// <summary>Temporary folders in memory, as state directories are; on disk where there is no /dev/shm.</summary>
public static class MemoryFolder
{
    /// <summary>Where they are.</summary>
    public static string Root { get; } = Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath();

    /// <summary>A new empty folder; who asks for it removes it.</summary>
    /// <param name="prefix">How its name begins.</param>
    /// <returns>Its path.</returns>
    public static string Create(string prefix) => Directory.CreateDirectory(Path.Combine(Root, $"{prefix}{Guid.NewGuid():N}")).FullName;
}
