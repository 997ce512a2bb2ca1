using Microsoft.Win32.SafeHandles;

namespace ClusterLb.Dataplane.Maps;

/// <summary>Copies what is alive in <paramref name="old"/> into <paramref name="fresh"/>, a new file that nobody else sees yet.</summary>
/// <param name="old">Another capacity or an older layout; its spec says which.</param>
/// <param name="fresh">Empty.</param>
/// <returns>False if the older layout is not known: then the old file is set aside.</returns>
public delegate bool MapFileUpgrade(MapFile old, MapFile fresh);

/// <content>Opening for writing: adopt what is good, upgrade what is older, set the rest aside.</content>
public sealed partial class MapFile
{
    private const int MostSetAside = 4;

    /// <summary>Opens the file of <paramref name="spec"/> as its one writer, making it where it is missing or unusable.</summary>
    /// <remarks>The caller holds the lease that makes it the one writer. A file gets its name only when it is complete; killed
    /// anywhere, this leaves the old file or the new one, and at most a nameless rest (NAME.new) that the next call removes.</remarks>
    /// <param name="directory">Exists.</param>
    /// <param name="spec">The layout and the sizes wanted.</param>
    /// <param name="upgrade">Copies entries when the sizes or the layout differ; null if such files are worth nothing.</param>
    /// <param name="report">What was found and done.</param>
    /// <param name="node">Whose content counts as true; default: this boot, this network namespace.</param>
    /// <exception cref="MapFileException">No space, no right, no directory.</exception>
    public static MapFile OpenForWriting(
        string directory, MapFileSpec spec, MapFileUpgrade? upgrade, out MapFileReport report, NodeIdentity? node = null)
    {
        NodeIdentity here = node ?? NodeIdentity.Current;
        string path = System.IO.Path.Combine(directory, spec.Name);
        MapFile? old = TryAdopt(path, spec.Name, here, out string? problem);
        if (old is null)
        {
            string aside = problem is null ? "" : SetAside(path);
            report = problem is null
                ? new MapFileReport(spec.Name, MapFileOutcome.Created, "")
                : new MapFileReport(spec.Name, MapFileOutcome.SetAside, problem) { Aside = aside };
            return CreateNamed(path, spec, here, fill: null)!;
        }

        if (old.Spec.HasShapeOf(spec))
        {
            // A file that still has its name though its header says retired: the upgrade was killed before the new file
            // got the name. Nobody has the new one, so this one lives.
            Volatile.Write(ref old.Header.State, MapHeader.Live);
            report = new MapFileReport(spec.Name, MapFileOutcome.Adopted, "");
            MapFileInterop.PreferHugePages(old._address, old.Spec.Length);
            return old;
        }

        using (old)
        {
            return Upgrade(old, path, spec, upgrade, here, out report);
        }
    }

    /// <summary>True if the directory's files are memory. On a disk a store may wait for write-back, milliseconds.</summary>
    public static bool IsInMemory(string directory)
    {
        using SafeFileHandle handle = MapFileInterop.Open(directory, writable: false);
        return MapFileInterop.IsInMemory(handle);
    }

    private static MapFile Upgrade(
        MapFile old, string path, MapFileSpec spec, MapFileUpgrade? upgrade, NodeIdentity node, out MapFileReport report)
    {
        string change = old.Spec.LayoutVersion != spec.LayoutVersion
            ? $"layout {old.Spec.LayoutVersion} became {spec.LayoutVersion}"
            : $"capacity {old.Spec.Capacity} became {spec.Capacity}";

        MapFile? fresh = upgrade is null ? null : CreateNamed(path, spec, node, fill: fresh =>
        {
            fresh.Header.LastNumber = old.Header.LastNumber;
            return upgrade(old, fresh);
        }, takesOverFrom: old);
        if (fresh is not null)
        {
            report = new MapFileReport(spec.Name, MapFileOutcome.Upgraded, change);
            return fresh;
        }

        report = new MapFileReport(spec.Name, MapFileOutcome.SetAside, $"its layout {old.Spec.LayoutVersion} is not known") { Aside = SetAside(path) };
        return CreateNamed(path, spec, node, fill: null)!;
    }

    /// <summary>Null, and why, if there is something that cannot be used; null and null if there is nothing.</summary>
    private static MapFile? TryAdopt(string path, string name, NodeIdentity node, out string? problem)
    {
        problem = null;
        SafeFileHandle handle;
        try
        {
            handle = MapFileInterop.Open(path, writable: true);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
        catch (MapFileException e) when (Directory.Exists(path) || new FileInfo(path).LinkTarget is not null)
        {
            problem = e.Message;
            return null;
        }

        problem = Problem(handle, name, out MapHeader header) ?? ForeignTo(node, in header);
        if (problem is not null)
        {
            handle.Dispose();
            return null;
        }

        return new MapFile(handle, header.ToSpec(), path, writable: true);
    }

    private static string? ForeignTo(NodeIdentity node, ref readonly MapHeader header)
    {
        if (new Guid(header.BootId, bigEndian: true) != node.BootId)
        {
            return "it is from before the last boot";
        }

        return header.NetnsCookie == node.NetnsCookie ? null : "it belongs to another network namespace";
    }

    /// <summary>Makes the file under another name, fills it, and only then gives it its own: a rename is atomic.</summary>
    private static MapFile? CreateNamed(
        string path, MapFileSpec spec, NodeIdentity node, Func<MapFile, bool>? fill, MapFile? takesOverFrom = null)
    {
        string draft = path + ".new";
        File.Delete(draft); // of a writer that was killed
        SafeFileHandle handle = MapFileInterop.Create(draft, spec.Mode);
        MapFile? file = null;
        try
        {
            MapFileInterop.Allocate(handle, spec.Length, draft);
            file = Initialize(handle, spec, path, node);
            if (fill is null || fill(file))
            {
                // Retired first: a reader that sees it opens the name again and gets, until the rename, the old file, whole.
                // The other way round, killed in between, readers would stay on the old file for ever.
                if (takesOverFrom is not null)
                {
                    Volatile.Write(ref takesOverFrom.Header.State, MapHeader.Retired);
                }

                File.Move(draft, path, overwrite: true);
                MapFileInterop.PreferHugePages(file._address, spec.Length);
                MapFileInterop.ClearPages(file._address, spec.Length);
                file.ForgetPages();
                return file;
            }
        }
        catch
        {
            Discard();
            throw;
        }

        Discard();
        return null;

        void Discard()
        {
            file?.Dispose();
            handle.Dispose();
            File.Delete(draft);
        }
    }

    /// <summary>Renames what lies at the path to NAME.bad-N; beyond a few the last one is replaced, to bound the space.</summary>
    private static string SetAside(string path)
    {
        int n = 1;
        while (n < MostSetAside && System.IO.Path.Exists($"{path}.bad-{n}"))
        {
            n++;
        }

        string aside = $"{path}.bad-{n}";
        if (Directory.Exists(path))
        {
            Directory.Move(path, aside);
        }
        else
        {
            File.Move(path, aside, overwrite: true);
        }

        return aside;
    }
}
