namespace ClusterLb.Testing;

/// <summary>Files of this repository.</summary>
public static class Checkout
{
    /// <summary>The path of a file, found upwards from the folder of the running program.</summary>
    public static string PathOf(string file)
    {
        for (string? folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (File.Exists(Path.Combine(folder, file)))
            {
                return Path.Combine(folder, file);
            }
        }

        throw new FileNotFoundException($"{file} is in no folder above {AppContext.BaseDirectory}");
    }
}
