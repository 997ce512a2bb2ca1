namespace ClusterLb.Lab.Demo;

/// <summary>What the demo prints, and what of it was not as expected.</summary>
/// <param name="writeLine">Where lines go.</param>
internal sealed class DemoScript(Action<string> writeLine)
{
    private int _step;

    /// <summary>What was not as expected, in order.</summary>
    public List<string> Surprises { get; } = [];

    /// <summary>Begins a numbered step.</summary>
    public void Step(string title)
    {
        _step++;
        writeLine("");
        writeLine($"{_step}. {title}");
    }

    /// <summary>A line below the step.</summary>
    public void Say(string line) => writeLine(line.Length == 0 ? "" : "   " + line);

    /// <summary>What a command printed, as it was typed and as it came.</summary>
    public void Command(string typed, string output)
    {
        Say($"$ {typed}");
        foreach (string line in output.TrimEnd().Split('\n'))
        {
            Say("  " + line);
        }
    }

    /// <summary>Something that must hold; said either way.</summary>
    public void Expect(bool holds, string what)
    {
        Say($"{(holds ? "ok  " : "NOT ")} {what}");
        if (!holds)
        {
            Surprises.Add($"step {_step}: not so: {what}");
        }
    }
}
