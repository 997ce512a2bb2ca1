namespace ClusterLb.Lab.Client;

/// <summary>Endless known bytes: what is sent can be checked when it comes back, without keeping it.</summary>
internal sealed class Pattern
{
    private const int Period = 65_521; // a prime: no power-of-two slip of the stream goes unseen
    private readonly byte[] _bytes = new byte[Period];

    public Pattern(int seed) => new Random(seed).NextBytes(_bytes);

    /// <summary>Writes the bytes from <paramref name="position"/> on.</summary>
    public void Fill(Span<byte> buffer, long position)
    {
        while (buffer.Length > 0)
        {
            int from = (int)(position % Period);
            int length = Math.Min(buffer.Length, Period - from);
            _bytes.AsSpan(from, length).CopyTo(buffer);
            buffer = buffer[length..];
            position += length;
        }
    }

    /// <summary>True if these are the bytes from <paramref name="position"/> on.</summary>
    public bool Matches(ReadOnlySpan<byte> bytes, long position)
    {
        while (bytes.Length > 0)
        {
            int from = (int)(position % Period);
            int length = Math.Min(bytes.Length, Period - from);
            if (!_bytes.AsSpan(from, length).SequenceEqual(bytes[..length]))
            {
                return false;
            }

            bytes = bytes[length..];
            position += length;
        }

        return true;
    }
}
