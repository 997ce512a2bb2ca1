using System.Collections;
using System.Globalization;
using System.Text;
using ClusterLb.Agent.Configuration;

namespace ClusterLb.Agent.Logging;

/// <summary>A message as klog's text: the stem in quotes, then key=value. Always one line.</summary>
internal static class KlogText
{
    /// <summary>Without the header.</summary>
    public static string Of(KlogMessage message)
    {
        var line = new StringBuilder();
        Quote(line, message.Text);
        foreach ((string key, object? value) in message.Values)
        {
            line.Append(' ').Append(key).Append('=');
            Append(line, value);
        }

        if (message.Error is { } error)
        {
            line.Append(" err=");
            Quote(line, error);
        }

        return line.ToString();
    }

    // Numbers and truth values as they are, everything else in quotes; a list is JSON's.
    private static void Append(StringBuilder line, object? value)
    {
        switch (value)
        {
            case null:
                line.Append("null");
                break;
            case bool flag:
                line.Append(flag ? "true" : "false");
                break;
            case TimeSpan duration:
                Quote(line, GoDuration.Format(duration));
                break;
            case IFormattable number when value is int or long or uint or ulong or short or ushort or byte or double:
                line.Append(number.ToString(null, CultureInfo.InvariantCulture));
                break;
            case string text:
                Quote(line, text);
                break;
            case IEnumerable items:
                line.Append('[');
                string separator = "";
                foreach (object? item in items)
                {
                    line.Append(separator);
                    Append(line, item);
                    separator = ",";
                }

                line.Append(']');
                break;
            default:
                Quote(line, value.ToString() ?? "");
                break;
        }
    }

    // As Go's %q.
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
                case '\t':
                    line.Append("\\t");
                    break;
                case '\r':
                    line.Append("\\r");
                    break;
                case < ' ' or '\x7f':
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
