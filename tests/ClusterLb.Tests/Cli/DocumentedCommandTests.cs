using System.CommandLine;
using System.Text.RegularExpressions;
using ClusterLb.Cli.Commands;
using ClusterLb.Cli.Output;
using ClusterLb.Tests.House;

namespace ClusterLb.Tests.Cli;

/// <summary>What the documents tell people to type is understood.</summary>
public sealed partial class DocumentedCommandTests
{
    [Fact]
    public void Every_command_line_of_the_documents_is_understood()
    {
        RootCommand program = CommandLine.Create(Terminal.OfProcess());
        (string File, string Line)[] lines = [.. Repository.Documents().SelectMany(file => Lines(file).Select(line => (file, line)))];

        Assert.Contains(("README.md", "service list"), lines);
        Assert.Contains(("README.md", "explain tcp 10.244.1.2:40000 10.96.0.10:80"), lines);
        Assert.All(lines, line =>
        {
            string[] words = line.Line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            Assert.True(NamesVerb(program, words) || program.Parse(words).Errors is [], $"{line.File}: clusterlb {line.Line}");
        });
    }

    // "`clusterlb explain`" speaks of the verb; nobody is to type it without more.
    private static bool NamesVerb(Command command, ReadOnlySpan<string> words)
    {
        foreach (string word in words)
        {
            if (command.Subcommands.FirstOrDefault(child => child.Name == word || child.Aliases.Contains(word)) is not { } verb)
            {
                return false;
            }

            command = verb;
        }

        return true;
    }

    private static IEnumerable<string> Lines(string file) =>
        CommandOfText().Matches(Repository.Read(file)).Select(match => match.Groups[1].Success ? match.Groups[1].Value : match.Groups[2].Value);

    // In a sentence between backticks; in a block a line of its own, up to its explanation.
    [GeneratedRegex(@"`clusterlb ([^`]+)`|^ *clusterlb (\S+(?: \S+)*?)(?= +#|   |$)", RegexOptions.Multiline)]
    private static partial Regex CommandOfText();
}
