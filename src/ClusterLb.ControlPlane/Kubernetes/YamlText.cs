using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace ClusterLb.ControlPlane.Kubernetes;

/// <summary>The one door to the YAML library: whatever it thinks of a text, callers see documents or a <see cref="YamlException"/>.</summary>
public static class YamlText
{
    /// <summary>Every document of the text that is not empty.</summary>
    /// <exception cref="YamlException">The text is not YAML.</exception>
    public static IEnumerable<YamlDocument> Read(TextReader text) => Read(new Parser(text));

    internal static IEnumerable<YamlDocument> Read(IParser parser)
    {
        var stream = new YamlStream();
        try
        {
            stream.Load(parser);
        }
        catch (Exception e) when (e is not (YamlException or IOException or OutOfMemoryException))
        {
            // The library's scanner answers some malformed texts (a list that is never closed) with exceptions of its insides.
            Mark at = parser.Current?.End ?? Mark.Empty;
            throw new YamlException(at, at, $"not YAML after this place ({e.Message.TrimEnd('.')})", e);
        }

        // "---" at the end of a file makes an empty document.
        return stream.Documents.Where(document => document.RootNode is not YamlScalarNode { Value: null or "" });
    }
}
