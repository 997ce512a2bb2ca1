using System.Collections;
using System.Globalization;
using System.Text;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent.Logging;

/// <summary>One category of a <see cref="KlogProvider"/>.</summary>
/// <remarks>
/// A message template is what happened, then the names of its values: <c>"Steering repaired {Changes}"</c> is written as
/// <c>"Steering repaired" changes=3</c>. A sentence with values in its middle is written as the sentence it is.
/// </remarks>
internal sealed class KlogLogger(KlogProvider provider, string category) : ILogger
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

        var line = new StringBuilder();
        IReadOnlyList<KeyValuePair<string, object?>> values = state as IReadOnlyList<KeyValuePair<string, object?>> ?? [];
        string? template = values.FirstOrDefault(value => value.Key == TemplateKey).Value as string;
        string? stem = Stem(template);
        Quote(line, string.IsNullOrEmpty(stem) ? formatter(state, exception) : stem);
        foreach ((string key, object? value) in values)
        {
            if (key != TemplateKey && !string.IsNullOrEmpty(stem))
            {
                line.Append(' ').Append(char.ToLowerInvariant(key[0])).Append(key, 1, key.Length - 1).Append('=');
                Append(line, value);
            }
        }

        if (exception is not null)
        {
            line.Append(" err=");
            Quote(line, logLevel >= LogLevel.Error ? exception.ToString() : exception.Message);
        }

        provider.Write(logLevel, category, line.ToString());
    }

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

    private static void Append(StringBuilder line, object? value)
    {
        switch (value)
        {
            case null:
                line.Append("<nil>");
                break;
            case bool flag:
                line.Append(flag ? "true" : "false");
                break;
            case TimeSpan duration:
                line.Append(CultureInfo.InvariantCulture, $"\"{duration.TotalMilliseconds}ms\"");
                break;
            case IFormattable number when value is int or long or uint or ulong or short or ushort or byte or double:
                line.Append(number.ToString(null, CultureInfo.InvariantCulture));
                break;
            case string text:
                Quote(line, text);
                break;
            case IEnumerable items:
                line.Append('[').AppendJoin(' ', items.Cast<object?>()).Append(']');
                break;
            default:
                Quote(line, value.ToString() ?? "");
                break;
        }
    }

    // As Go's %q: one message is one line.
    private static void Quote(StringBuilder line, string text)
    {
        line.Append('"');
        foreach (char c in text)
        {
            switch (c)
            {
                case '"' or '\\':
                    line.Append('\\').Append(c);
                    break;
                case '\n':
                    line.Append("\\n");
                    break;
                case < ' ':
                    line.Append(CultureInfo.InvariantCulture, $"\\x{(int)c:x2}");
                    break;
                default:
                    line.Append(c);
                    break;
            }
        }

        line.Append('"');
    }
}
