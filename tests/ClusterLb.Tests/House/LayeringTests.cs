using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace ClusterLb.Tests.House;

/// <summary>Who may know whom: projects by their references, folders of the dataplane by their <c>using</c> lines.</summary>
public sealed partial class LayeringTests
{
    /// <summary>Folders of ClusterLb.Dataplane in the order in which data flows: each may know those to its left.</summary>
    private static readonly string[] DataplaneFolders = ["Packets", "Maps", "Conntrack", "Pipeline", "Tun", "Host"];

    private static readonly Dictionary<string, string[]> MayReference = new(StringComparer.Ordinal)
    {
        ["ClusterLb.Dataplane"] = [],
        ["ClusterLb.ControlPlane"] = ["ClusterLb.Dataplane"],
        ["ClusterLb.Agent"] = ["ClusterLb.Dataplane", "ClusterLb.ControlPlane"],
        ["ClusterLb.Lab"] = ["ClusterLb.Dataplane", "ClusterLb.ControlPlane", "ClusterLb.Agent"],
        ["ClusterLb.Cli"] = ["ClusterLb.Dataplane", "ClusterLb.ControlPlane", "ClusterLb.Agent", "ClusterLb.Lab"],
    };

    public static TheoryData<string> Projects => new(MayReference.Keys);

    [Theory, MemberData(nameof(Projects))]
    public void A_project_references_only_what_it_may(string project)
    {
        var references = ProjectFile(project).Descendants("ProjectReference")
            .Select(e => Path.GetFileNameWithoutExtension(e.Attribute("Include")!.Value));

        Assert.Empty(references.Except(MayReference[project], StringComparer.Ordinal));
    }

    [Fact]
    public void Every_project_of_src_has_a_rule() =>
        Assert.Equal(
            MayReference.Keys.Order(StringComparer.Ordinal),
            Directory.GetDirectories(Path.Combine(Repository.Root, "src")).Select(d => Path.GetFileName(d)!).Order(StringComparer.Ordinal));

    [Fact]
    public void The_dataplane_references_no_package_and_no_framework_but_the_base_library() =>
        Assert.DoesNotContain(
            ProjectFile("ClusterLb.Dataplane").Descendants(),
            e => e.Name.LocalName is "PackageReference" or "FrameworkReference");

    [Fact]
    public void Folders_of_the_dataplane_depend_only_leftwards()
    {
        var offences =
            from file in Repository.Sources("src/ClusterLb.Dataplane")
            let parts = file.Split('/')
            let folder = parts.Length > 3 ? Array.IndexOf(DataplaneFolders, parts[2]) : -1
            from used in Namespaces(file, "ClusterLb.Dataplane")
            let target = Array.IndexOf(DataplaneFolders, used)
            where target > folder
            select $"{file} uses {used}";

        Assert.Empty(offences);
    }

    [Fact]
    public void Every_folder_of_the_dataplane_has_its_place_in_the_order() =>
        Assert.Empty(Directory.GetDirectories(Path.Combine(Repository.Root, "src/ClusterLb.Dataplane"))
            .Select(d => Path.GetFileName(d)!).Except([.. DataplaneFolders, "bin", "obj"], StringComparer.Ordinal));

    [Fact]
    public void The_control_plane_knows_of_the_dataplane_only_its_maps_and_words()
    {
        var offences =
            from file in Repository.Sources("src/ClusterLb.ControlPlane")
            from used in Namespaces(file, "ClusterLb.Dataplane")
            where used is not ("" or "Maps")
            select $"{file} uses ClusterLb.Dataplane.{used}";

        Assert.Empty(offences);
    }

    [Fact]
    public void Unsafe_code_and_native_calls_stand_only_in_files_called_Interop()
    {
        var offences =
            from file in Repository.Sources("src")
            where !file.EndsWith("Interop.cs", StringComparison.Ordinal)
            where NativeCode().IsMatch(WithoutComments(Repository.Read(file)))
            select file;

        Assert.Empty(offences);
    }

    [Fact]
    public void Unsafe_reinterpretation_stands_only_where_its_benchmark_is()
    {
        var offences =
            from file in Repository.Sources("src")
            where !file.EndsWith("Interop.cs", StringComparison.Ordinal)
            where !file.Contains("/Maps/", StringComparison.Ordinal) && !file.Contains("/Conntrack/", StringComparison.Ordinal)
            where Reinterpretation().IsMatch(WithoutComments(Repository.Read(file)))
            select file;

        Assert.Empty(offences);
    }

    [Fact]
    public void A_file_holds_the_namespace_of_its_folder()
    {
        var offences =
            from file in Repository.Sources("src")
            let declared = NamespaceLine().Match(Repository.Read(file))
            where declared.Success
            let expected = Path.GetDirectoryName(file)!["src/".Length..].Replace('/', '.')
            where declared.Groups[1].Value != expected
            select $"{file} declares {declared.Groups[1].Value}";

        Assert.Empty(offences);
    }

    private static XDocument ProjectFile(string project) =>
        XDocument.Load(Path.Combine(Repository.Root, "src", project, project + ".csproj"));

    /// <summary>First name below <paramref name="root"/> of every using line and qualified name; "" for the root itself.</summary>
    private static IEnumerable<string> Namespaces(string file, string root)
    {
        string text = WithoutComments(Repository.Read(file));
        text = NamespaceLine().Replace(text, "");
        return Regex.Matches(text, Regex.Escape(root) + @"(?:\.(\w+))?").Select(m => m.Groups[1].Value).Distinct(StringComparer.Ordinal);
    }

    private static string WithoutComments(string text) => Comment().Replace(text, "");

    [GeneratedRegex(@"//.*$", RegexOptions.Multiline)]
    private static partial Regex Comment();

    [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex NamespaceLine();

    [GeneratedRegex(@"\bUnsafe\.")]
    private static partial Regex Reinterpretation();

    [GeneratedRegex(@"\bunsafe\b|\[LibraryImport|\[DllImport")]
    private static partial Regex NativeCode();
}
