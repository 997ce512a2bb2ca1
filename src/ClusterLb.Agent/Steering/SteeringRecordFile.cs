using System.Text.Json;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Agent.Steering;

/// <summary>DIR/steering.json on disk.</summary>
/// <param name="stateDirectory">DIR.</param>
internal sealed class SteeringRecordFile(string stateDirectory)
{
    private readonly string _path = Path.Combine(stateDirectory, "steering.json");

    /// <summary>The record, or null if there is none that is true here and now (another boot, another network namespace).</summary>
    /// <exception cref="SteeringException">It is unreadable, or of another version.</exception>
    public SteeringRecord? Load()
    {
        SteeringRecord? record;
        try
        {
            record = JsonSerializer.Deserialize(File.ReadAllBytes(_path), SteeringJson.Default.SteeringRecord);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new SteeringException($"{_path} is not readable ({e.Message}). It remembers kernel settings from before ClusterLb; " +
                "delete it to go on without restoring them.", e);
        }

        if (record is null || record.Layout != SteeringRecord.CurrentLayout)
        {
            throw new SteeringException($"{_path} has layout {record?.Layout}, but this version of ClusterLb knows {SteeringRecord.CurrentLayout}. " +
                "Run `clusterlb cleanup` of the version that wrote it.");
        }

        return record.Kernel == NodeIdentity.Current ? record : null;
    }

    /// <summary>As <see cref="Load"/>, but a damaged record gets another name first and counts as lost.</summary>
    public SteeringRecord? LoadOrSetAside(Action<string> warn)
    {
        try
        {
            return Load();
        }
        catch (SteeringException e) when (e.InnerException is JsonException)
        {
            File.Move(_path, _path + ".bad", overwrite: true);
            warn($"{_path} was damaged and is now '{_path}.bad'");
            return null;
        }
    }

    /// <summary>True if the record tells of another network namespace of this boot: what it tells of may still be there.</summary>
    public bool IsElsewhere()
    {
        if (!File.Exists(_path) || Load() is not null)
        {
            return false;
        }

        SteeringRecord? record = JsonSerializer.Deserialize(File.ReadAllBytes(_path), SteeringJson.Default.SteeringRecord);
        return record?.Kernel.BootId == NodeIdentity.Current.BootId;
    }

    /// <summary>Replaces the file whole.</summary>
    /// <exception cref="SteeringException">It cannot be written: no space, no right.</exception>
    public void Save(SteeringRecord record)
    {
        string fresh = _path + ".new";
        try
        {
            File.WriteAllBytes(fresh, JsonSerializer.SerializeToUtf8Bytes(record, SteeringJson.Default.SteeringRecord));
            File.Move(fresh, _path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SteeringException($"Cannot write {_path}, and nothing is changed that it does not remember: {e.Message}", e);
        }
    }

    /// <summary>Removes the file.</summary>
    public void Delete()
    {
        if (File.Exists(_path)) // the directory may be missing
        {
            File.Delete(_path);
        }
    }
}
