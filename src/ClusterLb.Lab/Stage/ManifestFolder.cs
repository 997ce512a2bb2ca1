namespace ClusterLb.Lab.Stage;

/// <summary>The folder of manifests that the lab's agents watch: what the Kubernetes API is to a real cluster.</summary>
public sealed class ManifestFolder(string path)
{
    /// <summary>Where it is.</summary>
    public string Path { get; } = path;

    /// <summary>Writes all objects of a cluster.</summary>
    public void WriteAll(LabTopology topology)
    {
        Directory.CreateDirectory(Path);
        WriteFile("nodes.yaml", ManifestWriter.Nodes(topology));
        foreach (LabService service in topology.Services)
        {
            Apply(service);
        }
    }

    /// <summary>Creates or replaces a service with its endpoints.</summary>
    public void Apply(LabService service) => WriteFile($"service-{service.Name}.yaml", ManifestWriter.Service(service));

    /// <summary>Deletes a service with its endpoints; it is no error if there is none.</summary>
    public void Remove(LabService service) => File.Delete(FileOf($"service-{service.Name}.yaml"));

    /// <summary>Writes any text as a manifest, in one step: nobody sees half a file.</summary>
    public void WriteFile(string name, string text)
    {
        // The name while it is written starts with a dot and ends differently: no reader of *.yaml picks it up.
        string temporary = FileOf("." + name + ".new");
        File.WriteAllText(temporary, text);
        File.Move(temporary, FileOf(name), overwrite: true);
    }

    /// <summary>Deletes a file of that name, if there is one.</summary>
    public void DeleteFile(string name) => File.Delete(FileOf(name));

    private string FileOf(string name) => System.IO.Path.Combine(Path, name);
}
