using System.Diagnostics;
using System.Text.RegularExpressions;

namespace ClusterLb.Tests.House;

/// <summary>What the documents promise about the checkout.</summary>
public sealed partial class HouseTests
{
    [Fact]
    public void Every_make_target_of_the_documents_exists()
    {
        string makefile = Repository.Read("Makefile");
        var targets = Repository.Documents().SelectMany(file => MakeCommand().Matches(Repository.Read(file)))
            .Select(m => m.Groups[1].Value).Distinct(StringComparer.Ordinal).ToList();

        Assert.NotEmpty(targets);
        Assert.All(targets, target => Assert.Matches($@"(?m)^{target}:", makefile));
    }

    [Fact]
    public void Every_relative_link_of_the_documents_leads_somewhere()
    {
        var broken =
            from file in Repository.Documents()
            from Match link in Link().Matches(Repository.Read(file))
            let target = link.Groups[1].Value.Split('#')[0]
            where target.Length > 0 && !target.Contains("://", StringComparison.Ordinal)
            where !Path.Exists(Path.Combine(Repository.Root, Path.GetDirectoryName(file)!, target))
            select $"{file}: {target}";

        Assert.Empty(broken);
    }

    [Theory]
    [InlineData("eng/setup.sh")]
    [InlineData("eng/test.sh")]
    [InlineData("eng/bench.sh")]
    [InlineData(".ci/run")]
    public void Scripts_are_executable_and_parse(string script)
    {
        string path = Path.Combine(Repository.Root, script);

        using Process bash = Process.Start(new ProcessStartInfo("bash", ["-n", path]) { RedirectStandardError = true, UseShellExecute = false })!;
        string errors = bash.StandardError.ReadToEnd();
        bash.WaitForExit();

        Assert.Equal("", errors);
        Assert.True(File.GetUnixFileMode(path).HasFlag(UnixFileMode.UserExecute), $"{script} is not executable");
    }

    [GeneratedRegex(@"`?\bmake ([a-z]+)\b`?(?=[`\n ]*(?:#|`|\n|$))", RegexOptions.Multiline)]
    private static partial Regex MakeCommand();

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex Link();
}
