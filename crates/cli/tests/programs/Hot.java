import java.util.ArrayList;
import java.util.List;

/** Burns CPU in burn, allocates in allocate, and two threads fight over a monitor in contend. */
public class Hot {
    static final Object MONITOR = new Object();
    static volatile long sink;
    static volatile List<byte[]> kept;

    static long burn(int rounds) {
        long value = 0;
        for (int round = 0; round < rounds; round++) {
            value = (value * 31 + round) % 1000003;
        }
        return value;
    }

    /** So much work and not so much time: on a busy machine it is sampled as often. A million is some 4 ms. */
    static void spin(int millions) {
        for (int done = 0; done < millions; done++) {
            sink += burn(1_000_000);
        }
    }

    static void allocate(int count) {
        List<byte[]> list = new ArrayList<>();
        for (int index = 0; index < count; index++) {
            list.add(new byte[64 << 10]);
            if (list.size() > 100) {
                list = new ArrayList<>();
            }
            kept = list;
        }
    }

    static void contend() {
        for (int round = 0; round < 5; round++) {
            synchronized (MONITOR) {
                spin(10);
            }
        }
    }

    public static void main(String[] arguments) throws InterruptedException {
        Thread[] threads = {new Thread(Hot::contend, "contender 1"), new Thread(Hot::contend, "contender 2")};
        for (Thread thread : threads) {
            thread.start();
        }
        spin(150);
        allocate(20000);
        for (Thread thread : threads) {
            thread.join();
        }
    }
}
