using System.Text;
using ClusterLb.Dataplane.Maps;

namespace ClusterLb.Tests.Dataplane.Maps;

/// <summary>What a writer makes of the file that it finds, and what readers may believe.</summary>
public sealed class MapFileTests : IDisposable
{
    private static readonly NodeIdentity Here = new(Guid.Parse("11111111-2222-3333-4444-555555555555"), 42);

    private readonly MapStage _stage = new();

    public void Dispose() => _stage.Dispose();

    /// <summary>What was done to the file, and what the report must say of it.</summary>
    public static TheoryData<string, string> Unusable => new()
    {
        { "nothing in it", "less than a header" },
        { "text", "not a ClusterLb map" },
        { "a header cut short", "less than a header" },
        { "truncated", "where its header says" },
        { "longer than it should be", "where its header says" },
        { "a torn header", "header is damaged" },
        { "a newer header", "has version 2" },
        { "another map's file", "it is the map 'other'" },
        { "a newer layout", "its layout 9" },
        { "before the last boot", "before the last boot" },
        { "another network namespace", "another network namespace" },
        { "a directory", "" },
        { "a symbolic link", "" },
    };

    [Theory]
    [MemberData(nameof(Unusable))]
    public void An_unusable_file_is_set_aside_whole_and_a_new_one_made(string what, string reason)
    {
        Write(entries: 10);
        byte[] before = Spoil(what);

        using HashMap<ulong, ulong> map = Open(64, out MapFileReport report);

        Assert.Equal(MapFileOutcome.SetAside, report.Outcome);
        Assert.Contains(reason, report.Reason, StringComparison.Ordinal);
        Assert.Equal(_stage.MapPath + ".bad-1", report.Aside);
        Assert.Empty(map.Entries());
        Assert.Equal(MapResult.Ok, map.Update(1, 1));
        if (before.Length > 0)
        {
            Assert.Equal(before, File.ReadAllBytes(_stage.MapPath + ".bad-1"));
        }
    }

    [Fact]
    public void Files_set_aside_take_a_bounded_amount_of_space()
    {
        for (int i = 0; i < 10; i++)
        {
            File.WriteAllText(_stage.MapPath, "not a map");
            Open(64, out _).Dispose();
        }

        Assert.Equal(4, Directory.GetFiles(_stage.Directory, "*.bad-*").Length);
    }

    [Fact]
    public void A_good_file_is_adopted_with_its_entries_seed_and_numbers()
    {
        ulong seed;
        using (HashMap<ulong, ulong> map = Open(64, out MapFileReport created))
        {
            Assert.Equal(MapFileOutcome.Created, created.Outcome);
            map.Update(1, 10);
            Assert.Equal(1UL, map.File.TakeNumber());
            seed = map.File.Seed0;
        }

        using HashMap<ulong, ulong> again = Open(64, out MapFileReport report);
        Assert.Equal(new MapFileReport("test", MapFileOutcome.Adopted, "") { Entries = 1 }, report);
        Assert.Equal([KeyValuePair.Create(1UL, 10UL)], again.Entries());
        Assert.Equal(seed, again.File.Seed0);
        Assert.Equal(2UL, again.File.TakeNumber());
    }

    [Fact]
    public void A_file_has_the_mode_of_its_spec_whatever_the_umask()
    {
        Write(entries: 0);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead, File.GetUnixFileMode(_stage.MapPath));
    }

    [Theory]
    [InlineData(16, 10, 0)]
    [InlineData(256, 10, 0)]
    [InlineData(16, 40, 24)]
    public void Another_capacity_copies_the_entries_to_a_new_file(int capacity, int entries, int lost)
    {
        using HashMap<ulong, ulong> old = Open(64, out _);
        for (ulong key = 0; key < (ulong)entries; key++)
        {
            old.Update(key, key * 7);
        }

        old.File.TakeNumber();
        using HashMap<ulong, ulong> reader = HashMap<ulong, ulong>.OpenForReading(_stage.Directory, MapStage.MapName);

        using HashMap<ulong, ulong> map = Open(capacity, out MapFileReport report);

        Assert.Equal(MapFileOutcome.Upgraded, report.Outcome);
        Assert.Equal(entries - lost, report.Entries);
        Assert.Equal(lost, report.Dropped);
        Assert.All(map.Entries(), entry => Assert.Equal(entry.Key * 7, entry.Value));
        Assert.Equal(2UL, map.File.TakeNumber());
        Assert.True(reader.File.IsRetired);
        Assert.Equal(entries, reader.Entries().Count()); // who reads the old one may finish
        Assert.False(map.File.IsRetired);
    }

    [Fact]
    public void An_older_layout_that_is_known_is_converted()
    {
        using (HashMap<uint, uint> old = HashMap<uint, uint>.OpenForWriting(
            _stage.Directory, HashMap<uint, uint>.Spec(MapStage.MapName, 64, layoutVersion: 1), Epochs.None, out _))
        {
            old.Update(3, 30);
            old.Update(4, 40);
        }

        using HashMap<ulong, ulong> map = HashMap<ulong, ulong>.OpenForWriting(
            _stage.Directory, HashMap<ulong, ulong>.Spec(MapStage.MapName, 64, layoutVersion: 2), Epochs.None, out MapFileReport report,
            readOlder: file => file.Spec.LayoutVersion == 1
                ? HashMap<uint, uint>.Over(file).Entries().Select(e => KeyValuePair.Create((ulong)e.Key, (ulong)e.Value))
                : null);

        Assert.Equal(MapFileOutcome.Upgraded, report.Outcome);
        Assert.Equal("layout 1 became 2", report.Reason);
        Assert.Equal(new Dictionary<ulong, ulong> { [3] = 30, [4] = 40 }, map.Entries().ToDictionary());
    }

    [Fact]
    public void An_upgrade_that_was_killed_before_the_new_file_got_the_name_leaves_the_old_one_in_use()
    {
        Write(entries: 10);
        using (HashMap<ulong, ulong> map = Open(64, out _))
        {
            Volatile.Write(ref map.File.Header.State, MapHeader.Retired);
        }

        File.WriteAllText(_stage.MapPath + ".new", "half of a new file");

        using HashMap<ulong, ulong> adopted = Open(64, out MapFileReport report);
        Assert.Equal(MapFileOutcome.Adopted, report.Outcome);
        Assert.Equal(10, report.Entries);
        Assert.False(adopted.File.IsRetired);
        using HashMap<ulong, ulong> upgraded = Open(128, out report);
        Assert.Equal(MapFileOutcome.Upgraded, report.Outcome);
        Assert.Equal(10, report.Entries);
    }

    /// <summary>Words that no writer leaves: from a damaged disk, or from someone else's hands.</summary>
    [Theory]
    [InlineData("a place outside of the file")]
    [InlineData("a place that another word names")]
    [InlineData("a place that was being written")]
    [InlineData("a key that does not belong there")]
    [InlineData("a key that another word has")]
    public void A_single_bad_entry_is_dropped_and_counted_and_the_rest_stays(string what)
    {
        Write(entries: 10);
        using (MapFile file = MapFile.OpenForWriting(_stage.Directory, Spec(64), null, out _, Here))
        {
            ulong[] words = Words(file);
            long used = Array.FindIndex(words, word => word != 0);
            long free = Array.FindIndex(words, word => word == 0);
            long place = file.Spec.PlacesOffset + ((uint)words[used] * file.Spec.PlaceSize);
            switch (what)
            {
                case "a place outside of the file":
                    SetWord(free, 0x1234_5678_FFFF_FFFF);
                    break;
                case "a place that another word names":
                    SetWord(free, words[used]);
                    break;
                case "a place that was being written":
                    file.At(place)++;
                    break;
                case "a key that does not belong there":
                    file.At(place + 4) ^= 0xFF;
                    break;
                default:
                    // The same key in a second place, named from the same bucket.
                    uint second = file.Spec.Places - 1;
                    for (int i = 0; i < file.Spec.PlaceSize; i++)
                    {
                        file.At(file.Spec.PlacesOffset + (second * file.Spec.PlaceSize) + i) = file.At(place + i);
                    }

                    long sibling = Enumerable.Range(0, 8).Select(lane => (used & ~7) + lane).First(i => words[i] == 0);
                    SetWord(sibling, (words[used] & 0xFFFF_FFFF_0000_0000) | second);
                    break;
            }

            void SetWord(long index, ulong word) => BitConverter.GetBytes(word).CopyTo(
                System.Runtime.InteropServices.MemoryMarshal.CreateSpan(ref file.At(MapFileSpec.IndexOffset + (index * 8)), 8));
        }

        using HashMap<ulong, ulong> map = Open(64, out MapFileReport report);
        Assert.Equal(MapFileOutcome.Adopted, report.Outcome);
        Assert.Equal(1, report.Dropped);
        Assert.InRange(report.Entries, 9, 10);
        Assert.Equal(report.Entries, map.Entries().Count());
        Assert.All(map.Entries(), entry => Assert.True(map.TryLookup(entry.Key, out ulong value) && value == entry.Key));
    }

    [Fact]
    public void A_full_file_system_is_an_error_before_anything_is_mapped()
    {
        if (!_stage.Directory.StartsWith("/dev/shm", StringComparison.Ordinal))
        {
            Console.WriteLine("skipped: no /dev/shm, and a disk would really be filled");
            return;
        }

        MapFileSpec tooLarge = Spec(64) with { Places = uint.MaxValue, PlaceSize = 1 << 20 };
        var error = Assert.Throws<MapFileException>(() => MapFile.OpenForWriting(_stage.Directory, tooLarge, null, out _));
        Assert.Contains("Free space there, or lower the capacities", error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(_stage.Directory));
    }

    [Fact]
    public void A_reader_is_told_why_it_cannot_read()
    {
        Assert.Throws<FileNotFoundException>(() => HashMap<ulong, ulong>.OpenForReading(_stage.Directory, MapStage.MapName));
        Write(entries: 1);
        Assert.Contains("layout", Assert.Throws<MapFileException>(
            () => HashMap<uint, uint>.OpenForReading(_stage.Directory, MapStage.MapName)).Message, StringComparison.Ordinal);
        Spoil("truncated");
        Assert.Contains("where its header says", Assert.Throws<MapFileException>(
            () => HashMap<ulong, ulong>.OpenForReading(_stage.Directory, MapStage.MapName)).Message, StringComparison.Ordinal);
    }

    private static MapFileSpec Spec(int capacity) => HashMap<ulong, ulong>.Spec(MapStage.MapName, capacity);

    private HashMap<ulong, ulong> Open(int capacity, out MapFileReport report) =>
        HashMap<ulong, ulong>.OpenForWriting(_stage.Directory, Spec(capacity), Epochs.None, out report, node: Here);

    private void Write(int entries)
    {
        using HashMap<ulong, ulong> map = Open(64, out _);
        for (ulong key = 1; key <= (ulong)entries; key++)
        {
            map.Update(key, key);
        }
    }

    private static ulong[] Words(MapFile file) => Enumerable.Range(0, (int)file.Spec.Buckets * 8)
        .Select(i => BitConverter.ToUInt64(System.Runtime.InteropServices.MemoryMarshal.CreateReadOnlySpan(
            ref file.At(MapFileSpec.IndexOffset + (i * 8)), 8)))
        .ToArray();

    /// <summary>Changes the file; returns its bytes afterwards, none if it is no file any more.</summary>
    private byte[] Spoil(string what)
    {
        string path = _stage.MapPath;
        byte[] bytes = File.ReadAllBytes(path);
        switch (what)
        {
            case "nothing in it":
                bytes = [];
                break;
            case "text":
                bytes = Encoding.UTF8.GetBytes(new string('x', 10_000));
                break;
            case "a header cut short":
                bytes = bytes[..4_095];
                break;
            case "truncated":
                bytes = bytes[..^1];
                break;
            case "longer than it should be":
                bytes = [.. bytes, 0];
                break;
            case "a torn header":
                bytes[40] ^= 1;
                break;
            case "a newer header":
                ChangeHeader(bytes, (ref MapHeader header) => header.Version = 2);
                break;
            case "another map's file":
                ChangeHeader(bytes, (ref MapHeader header) => "other\0"u8.CopyTo(header.Name));
                break;
            case "a newer layout":
                ChangeHeader(bytes, (ref MapHeader header) => header.LayoutVersion = 9);
                break;
            case "before the last boot":
                ChangeHeader(bytes, (ref MapHeader header) => header.BootId[0] ^= 1);
                break;
            case "another network namespace":
                ChangeHeader(bytes, (ref MapHeader header) => header.NetnsCookie++);
                break;
            case "a directory":
                File.Delete(path);
                Directory.CreateDirectory(path);
                return [];
            case "a symbolic link":
                File.Move(path, path + ".elsewhere");
                File.CreateSymbolicLink(path, path + ".elsewhere");
                return [];
            default:
                throw new ArgumentOutOfRangeException(nameof(what));
        }

        File.WriteAllBytes(path, bytes);
        return bytes;
    }

    private delegate void HeaderChange(ref MapHeader header);

    private static void ChangeHeader(byte[] file, HeaderChange change)
    {
        ref MapHeader header = ref System.Runtime.InteropServices.MemoryMarshal.AsRef<MapHeader>(file.AsSpan());
        change(ref header);
        header.Checksum = MapHeader.ChecksumOf(in header);
    }
}
