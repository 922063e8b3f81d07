// shim.cc: Google Benchmark behind the C functions of bench.h: the only C++ of the project.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "bench.h"

struct bench_state {
    benchmark::State &state;
};

namespace {
// Counters with a ':' are for the file only, and so is what all names would end with.
struct Table : benchmark::ConsoleReporter {
    Table() : ConsoleReporter(OO_Tabular) {}
    void ReportRuns(const std::vector<Run> &runs) override
    {
        std::vector<Run> shown = runs;
        for (Run &run : shown) {
            run.run_name.iterations.clear();
            run.run_name.time_type.clear();
            for (auto it = run.counters.begin(); it != run.counters.end();)
                it = it->first.find(':') == std::string::npos ? std::next(it) : run.counters.erase(it);
        }
        ConsoleReporter::ReportRuns(shown);
    }
};
}  // namespace

extern "C" {
void bench_shim_add(const char *name, int rounds, void (*body)(bench_state *, void *), void *arg)
{
    auto call = [body, arg](benchmark::State &state) {
        bench_state s{state};
        body(&s, arg);
    };
    benchmark::RegisterBenchmark(name, call)->Iterations(rounds)->UseManualTime()->Unit(benchmark::kMicrosecond);
}
int bench_shim_next(bench_state *s) { return s->state.KeepRunning(); }
void bench_shim_time(bench_state *s, double seconds) { s->state.SetIterationTime(seconds); }
void bench_shim_counter(bench_state *s, const char *name, double value) { s->state.counters[name] = value; }
void bench_shim_label(bench_state *s, const char *text) { s->state.SetLabel(text); }
void bench_shim_context(const char *key, const char *value) { benchmark::AddCustomContext(key, value); }
size_t bench_shim_run(int argc, char **argv)
{
    Table table;
    benchmark::Initialize(&argc, argv);
    return benchmark::RunSpecifiedBenchmarks(&table);
}
}
