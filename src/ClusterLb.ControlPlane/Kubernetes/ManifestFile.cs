using System.Text;
using System.Text.Json;
using ClusterLb.ControlPlane.Model;
using YamlDotNet.Core;

namespace ClusterLb.ControlPlane.Kubernetes;

/// <summary>One manifest file: the objects of its last good version, and when to read it again.</summary>
internal sealed class ManifestFile(string path)
{
    /// <summary>Below this age a second write may leave length and time as they are: file times tick every few milliseconds.</summary>
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(50);

    private static readonly (DateTime, long, bool) Nothing = (DateTime.MaxValue, 0, true);

    private (DateTime Written, long Length, bool IsSettled) _stamp;

    /// <summary>The good objects by identity; those that turned bad in their last good version.</summary>
    public Dictionary<(string Kind, ObjectName Name), KubernetesObject> Objects { get; private set; } = [];

    /// <summary>What is wrong with the file and its objects.</summary>
    public IReadOnlyList<ObjectProblem> Problems { get; private set; } = [];

    /// <summary>Reads the file if it changed.</summary>
    /// <returns>True if it was read, well or not.</returns>
    public bool Refresh(ObjectReader reader, DateTime utcNow)
    {
        try
        {
            using FileStream? stream = Open();
            if (stream is null)
            {
                bool wasEmpty = _stamp == Nothing;
                _stamp = Nothing;
                if (!wasEmpty)
                {
                    Parse(Stream.Null, reader);
                }

                return !wasEmpty;
            }

            DateTime written = File.GetLastWriteTimeUtc(stream.SafeFileHandle); // of the file itself, also through a link
            var stamp = (written, stream.Length, utcNow - written > Tick);
            if (stamp == _stamp)
            {
                return false;
            }

            _stamp = stamp;
            Parse(stream, reader);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or YamlException or JsonException or DecoderFallbackException)
        {
            (string where, string why) = e switch
            {
                YamlException yaml => ($"line {yaml.Start.Line}, column {yaml.Start.Column}: ", e.Message),
                JsonException { LineNumber: { } line, BytePositionInLine: { } at } => ($"line {line + 1}, byte {at + 1}: ", WithoutPlace(e.Message)),
                _ => ("", e.Message),
            };
            string kept = Objects.Count > 0 ? " What it held before is kept." : "";
            Problems = [new ObjectProblem(path, "", default, "", $"cannot be read: {where}{why.TrimEnd('.')}.{kept}")];
        }

        return true;
    }

    /// <summary>The reader of JSON says the place, too, and counts from 0.</summary>
    private static string WithoutPlace(string message) => message.Split(" LineNumber: ")[0];

    /// <summary>Opens the file; null if it has no bytes. A pipe has none either, and opening one would wait for ever.</summary>
    private FileStream? Open()
    {
        FileSystemInfo target = File.ResolveLinkTarget(path, returnFinalTarget: true) ?? new FileInfo(path);
        return target is FileInfo { Length: 0 }
            ? null
            : new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
    }

    private void Parse(Stream stream, ObjectReader reader)
    {
        var problems = new List<ObjectProblem>();
        var objects = new Dictionary<(string, ObjectName), KubernetesObject>();
        foreach (JsonDocument document in Documents(stream))
        {
            using (document)
            {
                foreach (KubernetesObject found in reader.ReadAll(document.RootElement, path, problems))
                {
                    problems.AddRange(found.Problems);
                    Add(objects, found, problems);
                }
            }
        }

        Objects = objects;
        Problems = problems;
    }

    private void Add(Dictionary<(string, ObjectName), KubernetesObject> objects, KubernetesObject found, List<ObjectProblem> problems)
    {
        (string Kind, ObjectName Name) key = (found.Kind, found.Name);
        KubernetesObject? before = Objects.GetValueOrDefault(key);
        bool isUsable = found.Outcome != ReadOutcome.Bad && (!found.IsHollow || before is null);
        KubernetesObject? served = isUsable ? found : before;
        if (!isUsable && before is not null)
        {
            problems.Add(new ObjectProblem(path, found.Kind, found.Name, "", "what the file held of it before is kept", ProblemEffect.TakenDifferently));
        }

        if (served is not null && !objects.TryAdd(key, served))
        {
            problems.Add(new ObjectProblem(path, found.Kind, found.Name, "", "occurs twice in the file; the first one counts"));
        }
    }

    private IEnumerable<JsonDocument> Documents(Stream stream)
    {
        if (path.EndsWith(".json", StringComparison.OrdinalIgnoreCase))
        {
            return [JsonDocument.Parse(stream)];
        }

        using var text = new StreamReader(stream, new UTF8Encoding(false, throwOnInvalidBytes: true), leaveOpen: true);
        return [.. YamlJson.Read(text)];
    }
}
