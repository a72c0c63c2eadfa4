"""pyglotaran 0.7.5 on the matrix of `time_data`; run beside `test_bench_time.py` on one machine.

Needs an environment of its own: ``pip install pyglotaran==0.7.5`` (it pins ``numpy<2.4``).
"""

from __future__ import annotations

import sys
import time
import warnings

import xarray as xr
from glotaran.io import load_model, load_parameters
from glotaran.optimization.optimize import optimize
from glotaran.project.scheme import Scheme
from time_data import ta_matrix

warnings.filterwarnings("ignore")
MODEL = """
default_megacomplex: decay-parallel
dataset: {d: {megacomplex: [m], irf: irf}}
megacomplex:
  m: {type: decay-parallel, compartments: [s1, s2, s3], rates: [k.1, k.2, k.3]}
irf:
  irf:
    type: spectral-gaussian
    normalize: false
    center: irf.center
    width: irf.width
    dispersion_center: irf.dc
    center_dispersion_coefficients: [irf.c1, irf.c2]
"""
START = """
k:
  - ["1", 2.5, {non-negative: true}]
  - ["2", 0.0333, {non-negative: true}]
  - ["3", 0.001, {non-negative: true}]
irf:
  - ["center", 0.1]
  - ["width", 0.08, {non-negative: true}]
  - ["dc", 580, {vary: false}]
  - ["c1", 0.2]
  - ["c2", 0.0]
"""

for seed in range(int(sys.argv[1]) if len(sys.argv) > 1 else 3):
    nm, t, data = ta_matrix(seed)
    set_ = xr.DataArray(data, coords=[("time", t), ("spectral", nm)]).to_dataset(name="data")
    scheme = Scheme(
        model=load_model(MODEL, format_name="yml_str"),
        parameters=load_parameters(START, format_name="yml_str"),
        data={"d": set_},
        maximum_number_function_evaluations=60,
    )
    begin = time.process_time()
    result = optimize(scheme, verbose=False, raise_exception=True)
    spent = time.process_time() - begin
    p = result.optimized_parameters
    rows = [(1 / p.get(f"k.{i}").value, p.get(f"k.{i}").standard_error) for i in (1, 2, 3)]
    shown = ", ".join(f"{tau:.4g}({e * tau**2:.2g})" for tau, e in rows)
    print(f"seed {seed}: {spent:.2f} CPU s, {shown} ps, success {result.success}")
