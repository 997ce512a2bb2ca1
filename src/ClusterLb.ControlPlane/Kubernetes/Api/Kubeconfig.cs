using System.Text;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace ClusterLb.ControlPlane.Kubernetes.Api;

/// <summary>Reads a kubeconfig (v1 Config): its current context. What is not supported is refused, never left out silently.</summary>
public static class Kubeconfig
{
    /// <summary>Reads the file. Certificates and tokens in files are read again as they rotate; the kubeconfig itself is not.</summary>
    /// <exception cref="ApiConnectionException">It cannot be used; all problems are named.</exception>
    public static ApiConnection Load(string path)
    {
        string text;
        try
        {
            text = File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ApiConnectionException($"Cannot read the kubeconfig: {e.Message}", e);
        }

        return Parse(text, Path.GetFullPath(path));
    }

    /// <summary>Reads a text.</summary>
    /// <param name="text">YAML or JSON.</param>
    /// <param name="path">Absolute; names of files are relative to its folder.</param>
    internal static ApiConnection Parse(string text, string path)
    {
        YamlNode root;
        try
        {
            root = YamlText.Read(new StringReader(text)).FirstOrDefault()?.RootNode
                ?? throw new ApiConnectionException($"The kubeconfig '{path}' is empty.");
        }
        catch (YamlException e)
        {
            throw new ApiConnectionException($"The kubeconfig '{path}' is not YAML, line {e.Start.Line}: {e.Message}", e);
        }

        var problems = new List<string>();
        var folder = new Folder(Path.GetDirectoryName(path) ?? "/", problems);
        string current = Text(root, "current-context");
        YamlNode? context = Named(root, "contexts", "context", current, "current-context", problems);
        string clusterName = Text(context, "cluster");
        string userName = Text(context, "user");
        YamlNode? cluster = context is null ? null : Named(root, "clusters", "cluster", clusterName, $"the cluster of context '{current}'", problems);
        YamlNode? user = context is null || userName.Length == 0 ? null : Named(root, "users", "user", userName, $"the user of context '{current}'", problems);

        Uri? server = null;
        if (cluster is not null)
        {
            RefuseInCluster(cluster, $"cluster '{clusterName}'", problems);
            if (!ApiConnection.TryServer(Text(cluster, "server"), out server, out string? problem))
            {
                problems.Add($"server of cluster '{clusterName}' is '{Text(cluster, "server")}', which {problem}");
            }
        }

        RefuseInUser(user, $"user '{userName}'", problems);
        var connection = new ApiConnection
        {
            Origin = $"kubeconfig {path}, context {current}",
            Servers = server is null ? [] : [server],
            TlsServerName = Text(cluster, "tls-server-name") is { Length: > 0 } name ? name : null,
            Authorities = folder.Read(cluster, "certificate-authority", $"cluster '{clusterName}'"),
            ClientCertificate = folder.Read(user, "client-certificate", $"user '{userName}'"),
            ClientKey = folder.Read(user, "client-key", $"user '{userName}'"),
            Token = Token(user, folder, userName),
        };
        if (connection.ClientCertificate is null != connection.ClientKey is null)
        {
            problems.Add($"user '{userName}' has only one of client-certificate and client-key");
        }

        return problems.Count == 0
            ? connection
            : throw new ApiConnectionException($"The kubeconfig '{path}' cannot be used: {string.Join("; ", problems)}.");
    }

    private static CredentialText? Token(YamlNode? user, Folder folder, string name)
    {
        // As kubectl: a file counts over a text, for the file is what rotates.
        string file = Text(user, "tokenFile");
        string text = Text(user, "token");
        return file.Length > 0 ? folder.Open(file, $"tokenFile of user '{name}'")
            : text.Length > 0 ? CredentialText.Given(text, $"user '{name}'") : null;
    }

    private static void RefuseInCluster(YamlNode cluster, string subject, List<string> problems)
    {
        if (Text(cluster, "insecure-skip-tls-verify") is "true" or "True" or "TRUE")
        {
            problems.Add($"{subject} has insecure-skip-tls-verify, but TLS is verified always: give certificate-authority, and tls-server-name if the name differs");
        }

        if (Text(cluster, "proxy-url").Length > 0)
        {
            problems.Add($"{subject} has proxy-url, but proxies are not supported");
        }
    }

    private static void RefuseInUser(YamlNode? user, string subject, List<string> problems)
    {
        if (Child(user, "exec") is not null)
        {
            problems.Add($"{subject} has exec, but ClusterLb starts no program for credentials: give a tokenFile or a client certificate");
        }

        if (Child(user, "auth-provider") is not null)
        {
            problems.Add($"{subject} has auth-provider, which Kubernetes removed: give a tokenFile or a client certificate");
        }

        if (Text(user, "username").Length > 0 || Text(user, "password").Length > 0)
        {
            problems.Add($"{subject} has username and password, which API servers do not accept: give a tokenFile or a client certificate");
        }

        if (Text(user, "as").Length > 0)
        {
            problems.Add($"{subject} has 'as', but ClusterLb impersonates nobody: bind its own user to the ClusterRole");
        }
    }

    private static YamlNode? Named(YamlNode root, string list, string field, string name, string subject, List<string> problems)
    {
        if (name.Length == 0)
        {
            problems.Add($"{subject} is not set");
            return null;
        }

        YamlNode? found = (Child(root, list) as YamlSequenceNode)?.Children.FirstOrDefault(item => Text(item, "name") == name);
        YamlNode? value = Child(found, field);
        if (value is null)
        {
            problems.Add($"{subject} is '{name}', but {list} has none of this name");
        }

        return value;
    }

    private static YamlNode? Child(YamlNode? parent, string name) =>
        parent is YamlMappingNode mapping && mapping.Children.TryGetValue(new YamlScalarNode(name), out YamlNode? child)
        && child is not YamlScalarNode { Value: null or "" or "null" or "~" } ? child : null;

    private static string Text(YamlNode? parent, string name) => (Child(parent, name) as YamlScalarNode)?.Value ?? "";

    /// <summary>Texts that stand in the kubeconfig (-data) or beside it.</summary>
    private sealed class Folder(string path, List<string> problems)
    {
        public CredentialText? Read(YamlNode? parent, string name, string subject)
        {
            string data = Text(parent, name + "-data"); // counts over the file, as in kubectl
            if (data.Length > 0)
            {
                try
                {
                    return CredentialText.Given(Encoding.UTF8.GetString(Convert.FromBase64String(data)), subject);
                }
                catch (FormatException)
                {
                    problems.Add($"{name}-data of {subject} is not base64");
                    return null;
                }
            }

            string file = Text(parent, name);
            return file.Length > 0 ? Open(file, $"{name} of {subject}") : null;
        }

        public CredentialText? Open(string file, string subject)
        {
            CredentialText text = CredentialText.InFile(Path.Combine(path, file));
            try
            {
                text.Read();
                return text;
            }
            catch (ApiConnectionException e)
            {
                problems.Add($"{subject}: {e.Message.TrimEnd('.')}");
                return null;
            }
        }
    }
}
