using ClusterLb.Dataplane.Conntrack;

namespace ClusterLb.Tests.Dataplane.Conntrack;

public sealed class FlowIndexTests
{
    [Fact]
    public void Scanning_a_bucket_by_vectors_finds_what_scanning_word_by_word_finds()
    {
        const int Seed = 31;
        var random = new Random(Seed);
        var words = new ulong[FlowIndex.WordsPerBucket];
        for (int i = 0; i < 10_000; i++)
        {
            for (int at = 0; at < words.Length; at++)
            {
                words[at] = (uint)random.Next(3) | ((ulong)(uint)random.Next(3) << 32) | ((ulong)(uint)random.Next(2) << 63);
            }

            ulong mask = random.Next(2) == 0 ? ~(1UL << 63) : 0x3FFF_FFFFUL << 32;
            ulong value = ((ulong)(uint)random.Next(3) << 32) & mask;
            uint want = FlowIndex.MatchOneByOne(ref words[0], mask, value);
            uint got = FlowIndex.Match(ref words[0], mask, value);
            Assert.True(want == got, $"seed {Seed}, case {i}: got {got:b8}, want {want:b8}");
        }
    }
}
