using System.Security.Cryptography;
using System.Text;
using ClusterLb.Dataplane.Host;
using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Agent.DataplaneChild;

/// <summary>Everything that a dataplane is given: open files by name, and the queues.</summary>
internal sealed class Estate : IDisposable
{
    private readonly List<string> _names = [];
    private readonly List<SafeFileHandle> _handles = [];
    private int _files;

    /// <summary>Of the handles, in order.</summary>
    public IReadOnlyList<string> Names => _names;

    /// <summary>Of the files, then of the queues.</summary>
    public IReadOnlyList<SafeFileHandle> Handles => _handles;

    /// <summary>The same for the same files and as many queues, in this process or the next.</summary>
    public string Identity => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join(
        '\n', _names.Select((name, i) => i < _files ? $"{name}={ProcessInterop.IdentityOf(_handles[i])}" : name)))));

    /// <summary>Takes files over.</summary>
    public void AddFiles(string prefix, IReadOnlyList<(string Name, SafeFileHandle Handle)> files)
    {
        _names.AddRange(files.Select(file => prefix + file.Name));
        _handles.AddRange(files.Select(file => file.Handle));
        _files = _handles.Count;
    }

    /// <summary>Adds the queues, after all files; they stay the caller's.</summary>
    public void AddQueues(IReadOnlyList<SafeFileHandle> queues)
    {
        _names.AddRange(DescriptorNames.Queues(queues.Count));
        _handles.AddRange(queues);
    }

    /// <summary>Closes the files.</summary>
    public void Dispose() => _handles.Take(_files).ToList().ForEach(handle => handle.Dispose());
}
