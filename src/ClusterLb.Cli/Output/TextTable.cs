using System.Diagnostics;

namespace ClusterLb.Cli.Output;

/// <summary>Aligned columns without lines, as <c>kubectl</c> and <c>cilium</c> print them: easy to read, easy to cut.</summary>
/// <remarks>On a screen that is too narrow the last column continues on lines of its own, so that no value is cut off.
/// Cells never end in blanks.</remarks>
internal sealed class TextTable(params string[] headings)
{
    private const int Gap = 3;
    private const int NarrowestLastColumn = 12;
    private readonly List<string[]> _rows = [];

    /// <summary>Adds a row; a cell may have several lines.</summary>
    public void Add(params string[] cells)
    {
        Debug.Assert(cells.Length == headings.Length, "A row has a cell for every heading.");
        _rows.Add(cells);
    }

    /// <summary>Prints the headings and all rows.</summary>
    public void WriteTo(TextWriter writer, int screenWidth)
    {
        int[] widths = new int[headings.Length];
        for (int column = 0; column < widths.Length; column++)
        {
            widths[column] = _rows.SelectMany(row => Lines(row[column])).Append(headings[column]).Max(line => line.Length);
        }

        int before = widths[..^1].Sum() + (Gap * (widths.Length - 1));
        int lastWidth = screenWidth == int.MaxValue ? int.MaxValue : Math.Max(screenWidth - before, NarrowestLastColumn);
        WriteRow(writer, headings, widths, lastWidth);
        foreach (string[] row in _rows)
        {
            WriteRow(writer, row, widths, lastWidth);
        }
    }

    private static void WriteRow(TextWriter writer, string[] cells, int[] widths, int lastWidth)
    {
        string[][] lines = [.. cells.Select(Lines)];
        lines[^1] = [.. lines[^1].SelectMany(line => Wrap(line, lastWidth))];
        for (int i = 0; i < lines.Max(cell => cell.Length); i++)
        {
            IEnumerable<string> parts = lines.Select((cell, column) =>
                (i < cell.Length ? cell[i] : "").PadRight(widths[column] + Gap));
            writer.WriteLine(string.Concat(parts).TrimEnd());
        }
    }

    private static string[] Lines(string cell) => cell.Split('\n');

    /// <summary>Breaks at blanks; a word longer than the column is broken where it must be.</summary>
    private static IEnumerable<string> Wrap(string line, int width)
    {
        while (line.Length > width)
        {
            int blank = line.LastIndexOf(' ', width);
            int end = blank > 0 ? blank : width;
            yield return line[..end];
            line = line[end..].TrimStart();
        }

        yield return line;
    }
}
