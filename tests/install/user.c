/* The least a training program does to be compared with another: VR_TRACE=run.h5 ./user */
#include <stdio.h>
#include <varanalyze/archive.h>
#include <varanalyze/capture.h>
#include <varanalyze/source.h>

int main(void)
{
    const float weight[2][3] = {{1, 2, 3}, {4, 5, 6}}, loss = 0.5f;
    vr_run *run;
    if (vr_run_open(&run, NULL) != VR_OK)
        fprintf(stderr, "%s\n", vr_error());
    vr_run_step(run, 0);
    vr_record(run, VR_WEIGHT, "dense", "weight", VR_TENSOR(VR_F32, weight, 2, 3), NULL);
    vr_record(run, VR_FORWARD, "dense", "loss", VR_SCALAR(VR_F32, &loss), "dense/weight", NULL);
    return vr_run_close(run) == VR_OK ? 0 : 1;
}
