using System.Text.Json.Nodes;

namespace ClusterLb.Testing.Kubernetes;

/// <summary>The selectors of a request: labels by <c>key</c>, <c>!key</c>, <c>key=value</c>; fields by <c>metadata.name=value</c>.</summary>
internal sealed class FakeSelector(string labels, string fields)
{
    public static FakeSelector All { get; } = new("", "");

    public bool Matches(JsonObject item) =>
        Terms(labels).All(term => MatchesLabel(item["metadata"]?["labels"] as JsonObject, term))
        && Terms(fields).All(term => MatchesField(item, term));

    private static string[] Terms(string text) => text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static bool MatchesLabel(JsonObject? labels, string term)
    {
        bool Has(string key) => labels?.ContainsKey(key) == true;
        string[] parts = term.Split('=', 2);
        return parts.Length == 2 ? (string?)labels?[parts[0]] == parts[1] : term[0] == '!' ? !Has(term[1..]) : Has(term);
    }

    private static bool MatchesField(JsonObject item, string term)
    {
        string[] parts = term.Split('=', 2);
        return parts is ["metadata.name", string name]
            ? (string?)item["metadata"]?["name"] == name
            : throw new NotSupportedException($"The fake API server does not know the field selector '{term}'.");
    }
}
