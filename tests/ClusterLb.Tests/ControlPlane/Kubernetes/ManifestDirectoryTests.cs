using ClusterLb.ControlPlane.Kubernetes;
using ClusterLb.ControlPlane.Model;

namespace ClusterLb.Tests.ControlPlane.Kubernetes;

public sealed class ManifestDirectoryTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("clusterlb-manifests-");
    private readonly ClusterStateStore _store = new("node-a");
    private readonly ManifestDirectory _manifests;

    public ManifestDirectoryTests() => _manifests = new ManifestDirectory(_folder.FullName);

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Objects_come_change_and_go_with_their_file()
    {
        Write("a.yaml", Service("web", 80));
        Scan();
        Assert.Equal("default/web", Assert.Single(_store.ServiceNames()).ToString());

        Write("a.yaml", Service("web", 81));
        Scan();
        Assert.Equal(81, Find("web")!.Ports[0].Port);

        File.Delete(Path.Combine(_folder.FullName, "a.yaml"));
        Scan();
        Assert.Empty(_store.ServiceNames());
    }

    [Fact]
    public void Documents_and_lists_and_json_are_all_read()
    {
        Write("a.yml", Service("one", 80) + "---\n---\n# nothing\n---\n" + Service("two", 80));
        Write("b.json", """
            {"kind": "List", "apiVersion": "v1", "items": [
              {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "three"}, "spec": {"clusterIP": "10.96.0.3", "ports": [{"port": 80}]}},
              {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "other"}}]}
            """);
        Write("c.yaml", """
            kind: ServiceList
            apiVersion: v1
            items:
            - {metadata: {name: four}, spec: {clusterIP: 10.96.0.4, ports: [{port: 80}]}}
            """);
        Write("notes.txt", "not a manifest");
        Write(".hidden.yaml", "[");
        Scan();

        Assert.Equal(["default/four", "default/one", "default/three", "default/two"], _store.ServiceNames().Select(n => n.ToString()).Order());
        Assert.Empty(_store.Problems);
    }

    [Theory]
    [InlineData("a.yaml", "kind: Service\n  bad: [indent")]
    [InlineData("a.json", "{\"kind\": \"Service\"")]
    [InlineData("a.yaml", "\"\\xff")]
    [InlineData("a.yaml", "kind: Service\nmetadata: {name: web\nspec: [}\n")]
    [InlineData("a.yaml", "apiVersion: v1\nkind: [Service\nmetadata:\n  name: web\n")]
    public void A_file_that_cannot_be_read_is_named_and_what_it_held_stays(string file, string broken)
    {
        Write(file, file.EndsWith("json", StringComparison.Ordinal)
            ? """{"kind":"Service","apiVersion":"v1","metadata":{"name":"web"},"spec":{"clusterIP":"10.96.0.1","ports":[{"port":80}]}}"""
            : Service("web", 80));
        Write("b.yaml", Service("other", 80));
        Scan();
        Write(file, broken);
        Write("b.yaml", Service("other", 82));
        Scan();

        Assert.NotNull(Find("web"));
        Assert.Equal(82, Find("other")!.Ports[0].Port);
        ObjectProblem problem = Assert.Single(_store.Problems);
        Assert.EndsWith(file, problem.Origin);
        Assert.Contains("cannot be read", problem.Reason);
        Assert.Equal(file.EndsWith("json", StringComparison.Ordinal), problem.Reason.Contains("cannot be read: line 1, byte 19: ", StringComparison.Ordinal));
        Assert.DoesNotContain("LineNumber", problem.Reason);

        Write(file, "");
        Scan();
        Assert.Equal(file.EndsWith("yaml", StringComparison.Ordinal) ? 0 : 1, _store.Problems.Length);
        Assert.Equal(file.EndsWith("json", StringComparison.Ordinal), Find("web") is not null); // an empty file is valid YAML, not JSON
    }

    [Theory]
    [InlineData("80", "10.244.1.5", "80800", "10.244.1.5")]
    [InlineData("80", "10.244.1.5", "80", "10.244.1.500")]
    public void A_slice_of_which_nothing_can_be_used_any_more_stays_as_it_was(string port, string address, string badPort, string badAddress)
    {
        Write("a.yaml", Slice(port, address));
        Scan();
        Write("a.yaml", Slice(badPort, badAddress));
        Scan();

        BackendSlice slice = Assert.Single(_store.Get(new ObjectName("default", "web")).Slices);
        Assert.Equal((80, address), (slice.Ports[0].Port, slice.Backends[0].Address.ToString()));
        Assert.Contains(_store.Problems, problem => problem.Reason == "what the file held of it before is kept");

        Write("a.yaml", Slice("81", address));
        Scan();
        Assert.Equal(81, Assert.Single(_store.Get(new ObjectName("default", "web")).Slices).Ports[0].Port);
        Assert.Empty(_store.Problems);

        static string Slice(string port, string address) => $$$"""
            kind: EndpointSlice
            apiVersion: discovery.k8s.io/v1
            metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
            addressType: IPv4
            ports: [{name: "", port: {{{port}}}}]
            endpoints: [{addresses: [{{{address}}}]}]
            """;
    }

    [Fact]
    public void No_mutation_of_a_manifest_ends_the_reading_of_the_others()
    {
        const int seed = 5;
        const string marks = "{}[]:,-&*!|>'\"%@`#?\n\t \0x";
        var random = new Random(seed);
        string good = Service("web", 80);
        Write("b.yaml", Service("other", 80));
        for (int round = 0; round < 2_000; round++)
        {
            char[] text = good.ToCharArray();
            for (int i = random.Next(1, 4); i > 0; i--)
            {
                text[random.Next(text.Length)] = marks[random.Next(marks.Length)];
            }

            Write("a.yaml", new string(text));
            Exception? thrown = Record.Exception(Scan);
            Assert.True(thrown is null, $"seed {seed}, round {round}: {thrown} of\n{new string(text)}");
            Assert.NotNull(Find("other"));
        }
    }

    [Fact]
    public void A_pipe_among_the_manifests_is_not_waited_for()
    {
        Write("b.yaml", Service("other", 80));
        using (var mkfifo = System.Diagnostics.Process.Start("mkfifo", Path.Combine(_folder.FullName, "a.yaml")))
        {
            mkfifo.WaitForExit();
            Assert.Equal(0, mkfifo.ExitCode);
        }

        Scan();

        Assert.NotNull(Find("other"));
    }

    [Fact]
    public void An_object_that_turns_bad_keeps_its_last_good_version()
    {
        Write("a.yaml", Service("web", 80));
        Scan();
        Write("a.yaml", Service("web", 80).Replace("10.96.0.1", "nonsense", StringComparison.Ordinal));
        Scan();

        Assert.Equal("10.96.0.1", Find("web")!.ClusterIps[0].ToString());
        Assert.Contains(_store.Problems, p => p.Field == "spec.clusterIP" && p.Name.ToString() == "default/web");
    }

    [Fact]
    public void An_object_in_two_files_counts_in_the_first_and_moves_when_that_goes()
    {
        Write("a.yaml", Service("web", 80));
        Write("b.yaml", Service("web", 81));
        Scan();
        Assert.Equal(80, Find("web")!.Ports[0].Port);
        Assert.EndsWith("b.yaml", Assert.Single(_store.Problems).Origin);

        File.Delete(Path.Combine(_folder.FullName, "a.yaml"));
        Scan();
        Assert.Equal(81, Find("web")!.Ports[0].Port);
        Assert.Empty(_store.Problems);
    }

    [Fact]
    public void Deep_nesting_and_growing_aliases_are_refused_and_do_no_harm()
    {
        Write("deep.yaml", new string('[', 100_000));
        Write("bomb.yaml", "a0: &a0 [x, x]\n" + string.Concat(Enumerable.Range(1, 40).Select(i => $"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n")));
        Write("self.yaml", "kind: &k [*k]\n");
        Write("good.yaml", Service("web", 80));
        Scan();

        Assert.NotNull(Find("web"));
        Assert.Equal(["bomb.yaml", "deep.yaml", "self.yaml"], _store.Problems.Select(p => Path.GetFileName(p.Origin)).Order());
    }

    [Fact]
    public void A_missing_directory_is_reported_and_the_list_is_not_complete()
    {
        var missing = new ManifestDirectory(Path.Combine(_folder.FullName, "none"));
        Assert.False(missing.Scan(_store));
        Assert.False(_store.IsSourceComplete);
        Assert.Contains("cannot be listed", Assert.Single(_store.Problems).Reason);
    }

    [Fact]
    public async Task A_running_source_sees_new_files_renamed_files_and_deletions()
    {
        using var stop = new CancellationTokenSource();
        Task run = _manifests.RunAsync(_store, stop.Token);

        await UntilAsync(() => _store.IsSourceComplete, () => { });
        await UntilAsync(() => Find("web") is not null, () => Write("a.yaml", Service("web", 80)));
        await UntilAsync(() => Find("web")?.Ports[0].Port == 90, () =>
        {
            Write("a.tmp", Service("web", 90));
            File.Move(Path.Combine(_folder.FullName, "a.tmp"), Path.Combine(_folder.FullName, "a.yaml"), overwrite: true);
        });
        await UntilAsync(() => Find("web") is null, () => File.Delete(Path.Combine(_folder.FullName, "a.yaml")));

        await stop.CancelAsync();
        await run;
    }

    private async Task UntilAsync(Func<bool> holds, Action act)
    {
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void Check()
        {
            if (holds())
            {
                reached.TrySetResult();
            }
        }

        _store.Changed += Check;
        act();
        Check();
        await reached.Task.WaitAsync(Patience);
        _store.Changed -= Check;
    }

    private void Scan() => Assert.True(_manifests.Scan(_store));

    private Service? Find(string name) => _store.Get(new ObjectName("default", name)).Service;

    private void Write(string file, string text) => File.WriteAllText(Path.Combine(_folder.FullName, file), text);

    private static string Service(string name, int port) =>
        $"kind: Service\napiVersion: v1\nmetadata: {{name: {name}}}\nspec: {{clusterIP: 10.96.0.1, ports: [{{port: {port}}}]}}\n";
}
