using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent.Logging;

/// <summary>One category of a <see cref="KlogProvider"/>.</summary>
/// <remarks>
/// A message template is what happened, then the names of its values: <c>"Steering repaired {Changes}"</c> is written as
/// <c>"Steering repaired" changes=3</c>. A sentence with values in its middle is written as the sentence it is.
/// </remarks>
internal sealed class KlogLogger(KlogProvider provider, string caller) : ILogger
{
    private const string TemplateKey = "{OriginalFormat}";

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => provider.IsEnabled(logLevel);

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel))
        {
            return;
        }

        IReadOnlyList<KeyValuePair<string, object?>> values = state as IReadOnlyList<KeyValuePair<string, object?>> ?? [];
        string? stem = Stem(values.FirstOrDefault(value => value.Key == TemplateKey).Value as string);
        string? error = exception is null ? null : logLevel >= LogLevel.Error ? exception.ToString() : exception.Message;
        provider.Write(logLevel, eventId, caller, string.IsNullOrEmpty(stem)
            ? new KlogMessage(formatter(state, exception), [], error)
            : new KlogMessage(stem, [.. values.Where(value => value.Key != TemplateKey).Select(Named)], error));
    }

    private static KeyValuePair<string, object?> Named(KeyValuePair<string, object?> value) =>
        new(char.ToLowerInvariant(value.Key[0]) + value.Key[1..], value.Value);

    // The words before the values, if only values follow.
    private static string? Stem(string? template)
    {
        int brace = template?.IndexOf('{', StringComparison.Ordinal) ?? -1;
        if (brace < 0)
        {
            return template;
        }

        for (int at = brace; at < template!.Length;)
        {
            int end = template[at] == '{' ? template.IndexOf('}', at) : -1;
            if (end < 0)
            {
                return null;
            }

            at = end + 1;
            while (at < template.Length && template[at] == ' ')
            {
                at++;
            }
        }

        return template[..brace].TrimEnd();
    }
}
