from rawlib import *
s=Raw(sys.argv[1])
def X(name,sh,dt="f4",lo=-2.5,hi=2.5):
    r=rng(name)
    if dt=="bool": return r.randint(0,2,sh).astype(bool)
    if dt[0]!="f":
        ii=np.iinfo(dt); return r.randint(max(ii.min,-5) if lo==-2.5 else ii.min,8 if lo==-2.5 else ii.max,sh).astype(dt)
    return r.uniform(lo,hi,sh).astype(dt)
DT=["DEFAULT","FLOAT_IO16xC32","FLOAT_O32xC32","FLOAT_O16xC32","QUINT_I8xO32","QINT_I8xO32"]
for mode in "SUM SUM_SQR PRODUCT MIN MAX MEAN".split():
    for dt in ("f4","f2","i4","i2","i1","u1","bool","u2"):
        for ty in DT:
            for ax in (1,-1) if ty=="DEFAULT" else (1,):
                s.simple("reduce/%s_%s_%s_%d"%(mode,np.dtype(dt).name,ty,ax),"Reduce",dict(x=X(mode,(3,4,5),dt)),[("param.Reduce",{"mode":mode,"axis":ax,"data_type":ty})])
        s.simple("reduce/%s_%s_full"%(mode,np.dtype(dt).name),"Reduce",dict(x=X(mode,(3,40),dt,lo=-10.)),[("param.Reduce",{"mode":mode,"axis":1})])
        s.simple("reduce/%s_%s_long"%(mode,np.dtype(dt).name),"Reduce",dict(x=X(mode,(2,3000,3),dt,lo=-10.)),[("param.Reduce",{"mode":mode,"axis":1})])
        s.simple("reduce/%s_%s_longlast"%(mode,np.dtype(dt).name),"Reduce",dict(x=X(mode,(4,5000),dt,lo=-10.)),[("param.Reduce",{"mode":mode,"axis":1})])
    for q in (("QuantizedS8",.03),("Quantized8Asymm",.03,120),("QuantizedS32",.001),("QuantizedS16",.001),("QuantizedS4",.3),("Quantized4Asymm",.3,5)):
        for ty in DT:
            for oc in ("Float32",):
              for ax in (1,2):
                s.simple("reduce/%s_%s_%s_%d"%(mode,q[0],ty,ax),"Reduce",dict(x=X(mode,(3,4,5))),[("param.Reduce",{"mode":mode,"axis":ax,"data_type":ty})],casts=dict(x=q),out_cast=oc,tol=dict(rtol=1e-6,atol=1e-6))
        s.simple("reduce/%s_%s_sat"%(mode,q[0]),"Reduce",dict(x=X(mode,(3,40,2),lo=-20.,hi=20.)),[("param.Reduce",{"mode":mode,"axis":1})],casts=dict(x=q),out_cast="Float32",tol=dict(rtol=1e-6,atol=1e-6))
    s.simple("reduce/%s_bf16"%mode,"Reduce",dict(x=X(mode,(3,40,2))),[("param.Reduce",{"mode":mode,"axis":1})],casts=dict(x="BFloat16"),out_cast="Float32",tol=dict(rtol=1e-2,atol=1e-2))
    for i,t in enumerate(([1],[1,1,1],[3,1,5],[1,4,1],[3,4,5],[4,1],[1,5],[5],[3,1,1],[1,4,5])):
        for dt in ("f4","i4","f2"):
            s.simple("reduce/%s_target%d_%s"%(mode,i,dt),"Reduce",dict(x=X(mode,(3,4,5),dt)),[("param.Reduce",{"mode":mode})],consts=dict(t=np.array(t,"i4")))
    for i,(sh,t) in enumerate((((2,3,4,5),[1,3,1,5]),((2,3,4,5),[2,1,4,1]),((2,1,3,1,2,1,4),[2,1,1,1,1,1,4]),((1,),[1]),((2,3,4,5),[1,3,4,1]),((2,3,4,5),[2,1,1,5]))):
        s.simple("reduce/%s_mtarget%d"%(mode,i),"Reduce",dict(x=X(mode,sh)),[("param.Reduce",{"mode":mode})],consts=dict(t=np.array(t,"i4")))
    for i,(sh,ax) in enumerate((((0,3),0),((0,3),1),((3,0),0),((3,0),1),((2,0,3),1),((2,0,3),2),((1,),0),((1,),-1),((5,),0),((7,1,3),1),((2,1,2,1,2,1,3),6),((2,1,2,1,2,1,3),-7),((1,1,1),0))):
        s.simple("reduce/%s_shape%d"%(mode,i),"Reduce",dict(x=X(mode,sh)),[("param.Reduce",{"mode":mode,"axis":ax})])
    n=X(mode,(4,6)); n[0,2]=np.nan; n[1,0]=np.nan; n[2,5]=np.nan; n[3,1]=np.inf; n[3,2]=-np.inf
    for ax in (0,1): s.simple("reduce/%s_nan%d"%(mode,ax),"Reduce",dict(x=n),[("param.Reduce",{"mode":mode,"axis":ax})])
    n=np.tile(X(mode,(4,6)),(3,6)); n[::3,1]=np.nan; n[1::5,30]=np.nan;n[2,35]=np.nan
    for ax in (0,1): s.simple("reduce/%s_nanbig%d"%(mode,ax),"Reduce",dict(x=n),[("param.Reduce",{"mode":mode,"axis":ax})])
# scans
for dt in ("f4","f2","i4","i2","i1","u1","bool"):
    for ex in (0,1):
        for rv in (0,1):
            for ax in (0,1,2,-1):
                s.simple("cumsum/%s_%d%d_%d"%(np.dtype(dt).name,ex,rv,ax),"CumsumV1",dict(x=X("cs",(3,7,5),dt)),[("param.Cumsum",{"axis":ax,"exclusive":bool(ex),"reverse":bool(rv)})])
s.simple("cumsum/bf16","CumsumV1",dict(x=X("cs",(3,7,5))),[("param.Cumsum",{"axis":1,"exclusive":False,"reverse":False})],casts=dict(x="BFloat16"),out_cast="Float32",tol=dict(rtol=1e-2,atol=1e-2))
for q in (("QuantizedS8",.03),("Quantized8Asymm",.03,120),("QuantizedS32",.001)):
    s.simple("cumsum/"+q[0],"CumsumV1",dict(x=X("cs",(3,7,5))),[("param.Cumsum",{"axis":1,"exclusive":False,"reverse":False})],casts=dict(x=q),out_cast="Float32")
s.simple("cumsum/long_f16","CumsumV1",dict(x=X("csl",(2,3000),"f2")),[("param.Cumsum",{"axis":1,"exclusive":False,"reverse":False})])
s.simple("cumsum/long","CumsumV1",dict(x=X("csl",(2,3000))),[("param.Cumsum",{"axis":1,"exclusive":False,"reverse":False})])
for i,(sh,ax) in enumerate((((0,3),0),((0,3),1),((1,),0),((2,1,2,1,2,1,3),6),((9,),-1))):
    s.simple("cumsum/shape%d"%i,"CumsumV1",dict(x=X("cs",sh)),[("param.Cumsum",{"axis":ax,"exclusive":False,"reverse":False})])
for op in ("Argmax","Argmin"):
    for dt in ("f4","f2","i4","i2","i1","u1","bool","u2"):
        for ax in (0,1,2,-1): s.simple("arg/%s_%s_%d"%(op,np.dtype(dt).name,ax),op,dict(x=X(op,(3,4,5),dt)),[("param.Axis",{"axis":ax})])
    n=X(op,(6,6)); n[0,2]=np.nan; n[1,0]=np.nan; n[2,5]=np.nan; n[3,1]=np.inf; n[3,2]=-np.inf; n[4]=np.nan; n[5]=np.inf
    for ax in (0,1): s.simple("arg/%s_nan%d"%(op,ax),op,dict(x=n),[("param.Axis",{"axis":ax})])
    s.simple("arg/%s_ninf"%op,op,dict(x=-n),[("param.Axis",{"axis":1})])
    s.simple("arg/%s_bigint"%op,op,dict(x=np.array([[2**24,2**24+1,2**24+2,2**31-1],[-2**24,-2**24-1,-2**31,-2**31+1]],"i4")),[("param.Axis",{"axis":1})])
    for q in (("QuantizedS8",.03),("Quantized8Asymm",.03,120),("QuantizedS32",.001)): s.simple("arg/%s_%s"%(op,q[0]),op,dict(x=X(op,(3,4,5))),[("param.Axis",{"axis":1})],casts=dict(x=q))
    s.simple("arg/%s_bf16"%op,op,dict(x=X(op,(3,4,5))),[("param.Axis",{"axis":1})],casts=dict(x="BFloat16"))
for ax in (0,1,2,-1,-2,-3):
    for dt in ("f4","f2"):
        s.simple("softmax/ax%d_%s"%(ax,dt),"Softmax",dict(x=X("sm",(3,4,5),dt,-5.,5.)),[("param.Softmax",{"axis":ax})])
        s.simple("softmax/bwd_ax%d_%s"%(ax,dt),"SoftmaxBackward",dict(y=X("sm1",(3,4,5),dt,0.,1.),dy=X("sm2",(3,4,5),dt)),[("param.Softmax",{"axis":ax})])
n=X("smn",(5,7),lo=-200.,hi=200.); n[0,2]=np.nan; n[1,0]=np.inf; n[2]=-np.inf; n[3,1]=-np.inf
s.simple("softmax/special","Softmax",dict(x=n),[("param.Softmax",{"axis":1})])
s.simple("softmax/bf16","Softmax",dict(x=X("sm",(3,4,5))),[("param.Softmax",{"axis":1})],casts=dict(x="BFloat16"),out_cast="Float32",tol=dict(rtol=1e-2,atol=1e-2))
for i,(sh,ax) in enumerate((((1,),0),((7,),0),((0,3),1),((2,1,2,1,2,1,3),3),((2,500),1),((2,500),0),((1,1000),-1))):
    s.simple("softmax/shape%d"%i,"Softmax",dict(x=X("sms",sh)),[("param.Softmax",{"axis":ax})])
for sc in (1.,.25,-3.):
    a=X("cn",(3,4)); b=X("cnb",(5,)); c=b.copy(); c[1]=np.nan; c2=a.copy(); c2[0,0]=np.inf
    for i,(p,q) in enumerate(((a,b),(a,c),(c2,b))):
        s.simple("checknonfinite/%g_%d"%(sc,i),"CheckNonFinite",dict(x=p,y=q),[("param.CheckNonFinite",{"scale":sc})],n_out=3)
        s.simple("checknonfinite/%g_%d_f16"%(sc,i),"CheckNonFinite",dict(x=p.astype("f2"),y=q.astype("f2")),[("param.CheckNonFinite",{"scale":sc})],n_out=3)
s.write()
